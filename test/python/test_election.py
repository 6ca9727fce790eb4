"""Two candidates elect a leader, as operators do; one that may no longer renew gives way to the other."""

import threading
import unittest

from cluster import ClusterTest
from kubernetes import client
from kubernetes.leaderelection import leaderelection
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock


class Election(ClusterTest):
    def candidate(self, name, api, on_start, on_stop):
        lock = ConfigMapLock('leader', self.namespace, name)
        lock.api_instance = client.CoreV1Api(api)
        config = Config(
            lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=on_start, onstopped_leading=on_stop
        )
        threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True).start()

    def test_the_one_that_loses_its_rights_gives_way_to_the_other(self):
        rbac = client.RbacAuthorizationV1Api()
        rbac.create_namespaced_role(
            self.namespace,
            client.V1Role(
                metadata=client.V1ObjectMeta(name='elect'),
                rules=[
                    client.V1PolicyRule(api_groups=[''], resources=['configmaps'], verbs=['get', 'create', 'update'])
                ],
            ),
        )
        apis = {}
        for name in ('first', 'second'):
            apis[name], _ = self.as_account(name)
            rbac.create_namespaced_role_binding(
                self.namespace,
                client.V1RoleBinding(
                    metadata=client.V1ObjectMeta(name=name),
                    role_ref=client.V1RoleRef(api_group='rbac.authorization.k8s.io', kind='Role', name='elect'),
                    subjects=[client.V1Subject(kind='ServiceAccount', name=name, namespace=self.namespace)],
                ),
            )
        events, changed = [], threading.Condition()

        def note(what):
            def happened():
                with changed:
                    events.append(what)
                    changed.notify_all()

            return happened

        def await_event(what):
            with changed:
                self.assertTrue(changed.wait_for(lambda: what in events, timeout=60), (what, events))

        self.candidate('first', apis['first'], note('first leads'), note('first stops'))
        await_event('first leads')
        self.candidate('second', apis['second'], note('second leads'), note('second stops'))
        rbac.delete_namespaced_role_binding('first', self.namespace)
        await_event('first stops')
        await_event('second leads')
        self.assertEqual(sorted(events), ['first leads', 'first stops', 'second leads'])
        lock = self.core.read_namespaced_config_map('leader', self.namespace)
        self.assertIn('"holderIdentity": "second"', lock.metadata.annotations['control-plane.alpha.kubernetes.io/leader'])


if __name__ == '__main__':
    unittest.main()
