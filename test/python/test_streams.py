"""Exec, attach, port-forward, logs and proxies: what goes through to a running pod."""

import select
import unittest

from cluster import ClusterTest, is_ready, pod, until
from kubernetes import client, watch
from kubernetes.stream import portforward, stream

WEB = 'mkdir -p /www; echo inside > /www/index.html; httpd -p 8080 -h /www; echo started; while read x; do echo "read $x"; done'


class Streams(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = pod('web', WEB, labels={'app': 'web'})
        made.spec.containers[0].stdin = True
        cls.core.create_namespaced_pod(cls.namespace, made)
        cls.core.create_namespaced_service(
            cls.namespace,
            client.V1Service(
                metadata=client.V1ObjectMeta(name='web'),
                spec=client.V1ServiceSpec(
                    selector={'app': 'web'}, ports=[client.V1ServicePort(name='http', port=80, target_port=8080)]
                ),
            ),
        )
        until(cls.core.list_namespaced_pod, is_ready, cls.namespace)

    def exec(self, command, **options):
        return stream(
            self.core.connect_get_namespaced_pod_exec,
            'web',
            self.namespace,
            command=command,
            **{'stderr': True, 'stdin': False, 'stdout': True, 'tty': False, **options},
        )

    def test_exec_gives_the_output(self):
        self.assertEqual(self.exec(['echo', 'hello']), 'hello\n')
        self.assertEqual(len(self.exec(['sh', '-c', 'dd if=/dev/zero bs=1000 count=1000 2>/dev/null | tr "\\0" x'])), 1000000)

    def test_exec_keeps_the_outputs_apart_and_tells_the_exit_code(self):
        session = self.exec(['sh', '-c', 'echo out; echo err >&2; exit 7'], _preload_content=False)
        session.run_forever(timeout=30)
        self.assertEqual((session.read_stdout(), session.read_stderr()), ('out\n', 'err\n'))
        self.assertEqual(session.returncode, 7)
        fine = self.exec(['true'], _preload_content=False)
        fine.run_forever(timeout=30)
        self.assertEqual(fine.returncode, 0)

    def test_a_shell_answers_line_by_line(self):
        session = self.exec(['/bin/sh'], stdin=True, _preload_content=False)
        session.write_stdin('echo one\n')
        self.assertEqual(session.readline_stdout(timeout=30), 'one')
        session.write_stdin('echo two >&2\n')
        self.assertEqual(session.readline_stderr(timeout=30), 'two')
        session.write_stdin('exit 3\n')
        session.run_forever(timeout=30)
        self.assertEqual(session.returncode, 3)

    def test_a_terminal_has_the_size_that_was_told(self):
        script = 'until stty size 2>&1 | grep "33 111"; do :; done; tty'
        session = self.exec(['sh', '-c', script], stdin=True, tty=True, _preload_content=False)
        session.write_channel(4, '{"Width":111,"Height":33}')
        session.run_forever(timeout=30)
        self.assertRegex(session.read_stdout(), r'^33 111\r\n/dev/pts/\d+\r\n$')

    def test_exec_that_cannot_be_is_refused(self):
        with self.assertRaises(client.ApiException) as raised:
            self.exec(['true'], container='none')
        self.assertEqual(raised.exception.status, 0)
        self.assertIn('Handshake status 400', str(raised.exception.reason))
        missing = self.exec(['nonsense'], _preload_content=False)
        missing.run_forever(timeout=30)
        self.assertIn('executable file not found', missing.read_channel(3))

    def test_attach_joins_the_running_container(self):
        session = stream(
            self.core.connect_get_namespaced_pod_attach,
            'web',
            self.namespace,
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        session.write_stdin('attached\n')
        self.assertEqual(session.readline_stdout(timeout=30), 'read attached')
        session.close()

    def test_port_forward_carries_requests(self):
        forward = portforward(self.core.connect_get_namespaced_pod_portforward, 'web', self.namespace, ports='8080')
        channel = forward.socket(8080)
        channel.setblocking(True)
        channel.sendall(b'GET / HTTP/1.0\r\n\r\n')
        answer = b''
        while True:
            select.select([channel], [], [], 30)
            data = channel.recv(4096)
            if not data:
                break
            answer += data
        self.assertTrue(answer.startswith(b'HTTP/1.'), answer)
        self.assertTrue(answer.endswith(b'inside\n'), answer)
        self.assertIsNone(forward.error(8080))
        forward.close()

    def test_logs_are_followed_and_cut(self):
        follower = watch.Watch()
        for line in follower.stream(self.core.read_namespaced_pod_log, 'web', self.namespace):
            self.assertEqual(line, 'started')
            follower.stop()
        talker = pod('talker', 'for i in one two three; do echo $i; done', restart_policy='Never')
        self.core.create_namespaced_pod(self.namespace, talker)
        until(
            self.core.list_namespaced_pod,
            lambda p: p.status.phase == 'Succeeded',
            self.namespace,
            field_selector='metadata.name=talker',
        )
        followed = watch.Watch().stream(self.core.read_namespaced_pod_log, 'talker', self.namespace)
        self.assertEqual([next(followed) for _ in range(3)], ['one', 'two', 'three'])

        def log(**options):
            return self.core.read_namespaced_pod_log('talker', self.namespace, **options)

        self.assertEqual(log(tail_lines=1), 'three\n')
        self.assertEqual(log(limit_bytes=5), 'one\nt')
        self.assertRegex(log(timestamps=True, tail_lines=1), r'^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$')
        self.refused(400, 'BadRequest', log, previous=True)

    def test_pods_services_and_nodes_are_reached_through_the_server(self):
        get = self.core.connect_get_namespaced_pod_proxy_with_path
        self.assertEqual(get('web:8080', self.namespace, 'index.html'), 'inside\n')
        until(
            self.core.list_namespaced_endpoints,
            lambda e: e.subsets,
            self.namespace,
            field_selector='metadata.name=web',
        )
        through = self.core.connect_get_namespaced_service_proxy_with_path
        self.assertEqual(through('web:http', self.namespace, 'index.html'), 'inside\n')
        node = self.core.list_node().items[0].metadata.name
        self.assertEqual(self.core.connect_get_node_proxy_with_path(node, 'healthz'), 'ok')


if __name__ == '__main__':
    unittest.main()
