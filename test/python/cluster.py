"""What the tests of the Python client share: the configured client, a namespace of their own, and waiting by watch."""

import base64
import json
import unittest

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()

IMAGE = 'example.test/tool:1'


def container(script, **more):
    """A container that runs a shell script."""
    return client.V1Container(name='c', image=IMAGE, command=['sh', '-c', script], **more)


def pod(name, script, labels=None, **spec):
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels=labels),
        spec=client.V1PodSpec(containers=[container(script)], termination_grace_period_seconds=1, **spec),
    )


def until(function, predicate, *args, **kwargs):
    """Lists, then watches from there, until an object fulfils the predicate; gives that object."""
    listed = function(*args, **kwargs)
    for item in listed.items:
        if predicate(item):
            return item
    stream = watch.Watch()
    for event in stream.stream(
        function, *args, resource_version=listed.metadata.resource_version, timeout_seconds=60, **kwargs
    ):
        if event['type'] != 'DELETED' and predicate(event['object']):
            stream.stop()
            return event['object']
    raise AssertionError('nothing fulfilled the condition within 60 s')


def gone(function, *args, **kwargs):
    """Waits until nothing is listed any more."""
    listed = function(*args, **kwargs)
    left = {item.metadata.uid for item in listed.items}
    if not left:
        return
    stream = watch.Watch()
    for event in stream.stream(
        function, *args, resource_version=listed.metadata.resource_version, timeout_seconds=60, **kwargs
    ):
        if event['type'] == 'DELETED':
            left.discard(event['object'].metadata.uid)
        if not left:
            stream.stop()
            return
    raise AssertionError('objects are left after 60 s: %s' % left)


def is_ready(found):
    return any(c.type == 'Ready' and c.status == 'True' for c in (found.status.conditions or []))


class ClusterTest(unittest.TestCase):
    """Gives each class of tests a namespace, and takes it away."""

    namespace = ''

    @classmethod
    def setUpClass(cls):
        cls.core = client.CoreV1Api()
        made = cls.core.create_namespace(
            client.V1Namespace(metadata=client.V1ObjectMeta(generate_name='python-', labels={'made-by': 'python'}))
        )
        cls.namespace = made.metadata.name
        until(cls.core.list_namespaced_service_account, lambda a: a.metadata.name == 'default', cls.namespace)

    @classmethod
    def tearDownClass(cls):
        cls.core.delete_namespace(cls.namespace, propagation_policy='Background')

    def refused(self, status, reason, function, *args, **kwargs):
        """Calls what must be refused; gives the Status that the server answered."""
        with self.assertRaises(ApiException) as raised:
            function(*args, **kwargs)
        body = json.loads(raised.exception.body)
        self.assertEqual(
            (raised.exception.status, body['kind'], body['code'], body.get('reason')), (status, 'Status', status, reason)
        )
        return body

    def as_account(self, name, **token_spec):
        """A client with the token of a new service account of the namespace, and its token."""
        self.core.create_namespaced_service_account(
            self.namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name=name))
        )
        request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], **token_spec))
        answer = self.core.create_namespaced_service_account_token(name, self.namespace, request)
        mine = client.Configuration.get_default_copy()
        bearer = client.Configuration()
        bearer.host = mine.host
        bearer.ssl_ca_cert = mine.ssl_ca_cert
        bearer.api_key = {'authorization': 'Bearer ' + answer.status.token}
        return client.ApiClient(bearer), answer


def payload(token):
    part = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))
