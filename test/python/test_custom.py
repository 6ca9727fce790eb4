"""Custom resources: through CustomObjectsApi, through the dynamic client, and from YAML files."""

import json
import os
import tempfile
import unittest

from cluster import ClusterTest, gone, until
from kubernetes import client, dynamic, utils, watch
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError

GROUP, VERSION = 'python.example.test', 'v1'
DEFINITION = {
    'apiVersion': 'apiextensions.k8s.io/v1',
    'kind': 'CustomResourceDefinition',
    'metadata': {'name': 'lamps.' + GROUP},
    'spec': {
        'group': GROUP,
        'scope': 'Namespaced',
        'names': {'plural': 'lamps', 'singular': 'lamp', 'kind': 'Lamp', 'listKind': 'LampList'},
        'versions': [
            {
                'name': VERSION,
                'served': True,
                'storage': True,
                'subresources': {
                    'status': {},
                    'scale': {'specReplicasPath': '.spec.bulbs', 'statusReplicasPath': '.status.bulbs'},
                },
                'schema': {
                    'openAPIV3Schema': {
                        'type': 'object',
                        'properties': {
                            'spec': {
                                'type': 'object',
                                'required': ['color'],
                                'properties': {
                                    'color': {'type': 'string', 'enum': ['red', 'green']},
                                    'bulbs': {'type': 'integer', 'default': 2},
                                },
                            },
                            'status': {'type': 'object', 'properties': {'bulbs': {'type': 'integer'}}},
                        },
                    }
                },
            }
        ],
    },
}


def lamp(name, color='red', **spec):
    return {
        'apiVersion': GROUP + '/' + VERSION,
        'kind': 'Lamp',
        'metadata': {'name': name},
        'spec': {'color': color, **spec},
    }


class WithLamps(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.definitions = client.ApiextensionsV1Api()
        cls.definitions.create_custom_resource_definition(DEFINITION)
        until(
            cls.definitions.list_custom_resource_definition,
            lambda d: any(c.type == 'Established' and c.status == 'True' for c in d.status.conditions or []),
            field_selector='metadata.name=lamps.' + GROUP,
        )

    @classmethod
    def tearDownClass(cls):
        cls.definitions.delete_custom_resource_definition('lamps.' + GROUP)
        gone(cls.definitions.list_custom_resource_definition, field_selector='metadata.name=lamps.' + GROUP)
        super().tearDownClass()


class CustomObjects(WithLamps):
    def test_custom_objects_are_created_listed_patched_scaled_and_deleted(self):
        custom = client.CustomObjectsApi()
        at = (GROUP, VERSION, self.namespace, 'lamps')
        made = custom.create_namespaced_custom_object(*at, lamp('desk'))
        self.assertEqual((made['spec']['bulbs'], made['metadata']['generation']), (2, 1))
        bad = self.refused(422, 'Invalid', custom.create_namespaced_custom_object, *at, lamp('bad', color='blue'))
        self.assertEqual(
            bad['message'],
            'Lamp.%s "bad" is invalid: spec.color: Unsupported value: "blue": supported values: "red", "green"' % GROUP,
        )
        custom.create_namespaced_custom_object(*at, lamp('floor'))
        page = custom.list_namespaced_custom_object(*at, limit=1)
        self.assertEqual((page['kind'], page['metadata']['remainingItemCount']), ('LampList', 1))
        everywhere = custom.list_cluster_custom_object(GROUP, VERSION, 'lamps')
        self.assertEqual([i['metadata']['name'] for i in everywhere['items']], ['desk', 'floor'])
        # This client sends every patch of a custom resource as a merge patch.
        patched = custom.patch_namespaced_custom_object(*at, 'desk', {'spec': {'color': 'green'}})
        self.assertEqual((patched['spec'], patched['metadata']['generation']), ({'color': 'green', 'bulbs': 2}, 2))
        status = custom.patch_namespaced_custom_object_status(*at, 'desk', {'status': {'bulbs': 1}, 'spec': {'bulbs': 7}})
        self.assertEqual((status['status'], status['spec']['bulbs']), ({'bulbs': 1}, 2))
        scale = custom.get_namespaced_custom_object_scale(*at, 'desk')
        self.assertEqual((scale['kind'], scale['spec']['replicas'], scale['status']['replicas']), ('Scale', 2, 1))
        scaled = custom.patch_namespaced_custom_object_scale(*at, 'desk', {'spec': {'replicas': 5}})
        self.assertEqual(scaled['spec']['replicas'], 5)
        current = custom.get_namespaced_custom_object(*at, 'desk')
        stale = json.loads(json.dumps(current))
        current['spec']['bulbs'] = 6
        custom.replace_namespaced_custom_object(*at, 'desk', current)
        self.refused(409, 'Conflict', custom.replace_namespaced_custom_object, *at, 'desk', stale)
        seen = []
        stream = watch.Watch()
        for event in stream.stream(custom.list_namespaced_custom_object, *at, timeout_seconds=30):
            seen.append((event['type'], event['object']['metadata']['name']))
            if len(seen) == 2:
                stream.stop()
        self.assertEqual(seen, [('ADDED', 'desk'), ('ADDED', 'floor')])
        deleted = custom.delete_namespaced_custom_object(*at, 'desk')
        self.assertEqual(deleted['status'], 'Success')
        custom.delete_collection_namespaced_custom_object(*at)
        self.assertEqual(custom.list_namespaced_custom_object(*at)['items'], [])


class Dynamic(WithLamps):
    def dynamic(self, folder):
        return dynamic.DynamicClient(client.ApiClient(), cache_file=os.path.join(folder, 'discovery.json'))

    def test_kinds_are_found_by_discovery_and_from_its_cache(self):
        with tempfile.TemporaryDirectory() as folder:
            first = self.dynamic(folder)
            pods = first.resources.get(api_version='v1', kind='Pod')
            self.assertEqual((pods.name, pods.namespaced, pods.short_names), ('pods', True, ['po']))
            self.assertEqual(sorted(pods.subresources)[:3], ['attach', 'binding', 'ephemeralcontainers'])
            self.assertEqual(first.resources.get(kind='Deployment', group='apps').group_version, 'apps/v1')
            self.assertEqual(first.resources.get(api_version=GROUP + '/v1', kind='Lamp').name, 'lamps')
            again = self.dynamic(folder)
            self.assertEqual(again.resources.get(api_version='v1', kind='Service').short_names, ['svc'])
            with self.assertRaises(ResourceNotFoundError):
                again.resources.get(api_version='example.test/v9', kind='None')
            self.assertEqual(again.version['kubernetes']['minor'], '36')

    def test_objects_of_any_kind_are_worked_on(self):
        with tempfile.TemporaryDirectory() as folder:
            made = self.dynamic(folder)
            lamps = made.resources.get(api_version=GROUP + '/v1', kind='Lamp')
            lamps.create(body=lamp('dyn'), namespace=self.namespace)
            got = lamps.get(name='dyn', namespace=self.namespace)
            self.assertEqual(got.spec.bulbs, 2)
            lamps.patch(
                name='dyn',
                namespace=self.namespace,
                body={'spec': {'color': 'green'}},
                content_type='application/merge-patch+json',
            )
            self.assertEqual([i.spec.color for i in lamps.get(namespace=self.namespace).items], ['green'])
            status = lamps.status.patch(
                name='dyn',
                namespace=self.namespace,
                body={'status': {'bulbs': 3}},
                content_type='application/merge-patch+json',
            )
            self.assertEqual(status.status.bulbs, 3)
            self.assertEqual(lamps.scale.get(name='dyn', namespace=self.namespace).status.replicas, 3)
            for event in lamps.watch(namespace=self.namespace, timeout=30):
                self.assertEqual((event['type'], event['object'].metadata.name), ('ADDED', 'dyn'))
                break
            lamps.delete(name='dyn', namespace=self.namespace)
            with self.assertRaises(NotFoundError):
                lamps.get(name='dyn', namespace=self.namespace)

    def test_server_side_apply_shares_an_object_between_managers(self):
        with tempfile.TemporaryDirectory() as folder:
            maps = self.dynamic(folder).resources.get(api_version='v1', kind='ConfigMap')

            def apply(manager, data, **options):
                body = {
                    'apiVersion': 'v1',
                    'kind': 'ConfigMap',
                    'metadata': {'name': 'shared', 'namespace': self.namespace},
                    'data': data,
                }
                return maps.server_side_apply(
                    body=json.dumps(body), name='shared', namespace=self.namespace, field_manager=manager, **options
                )

            apply('one', {'a': '1', 'b': '1'})
            self.assertEqual(apply('two', {'c': '2'}).to_dict()['data'], {'a': '1', 'b': '1', 'c': '2'})
            with self.assertRaises(ConflictError) as raised:
                apply('two', {'a': '2', 'c': '2'})
            self.assertIn('conflict with \\"one\\": .data.a', raised.exception.body.decode())
            self.assertEqual(
                apply('two', {'a': '2', 'c': '2'}, force_conflicts=True).to_dict()['data'], {'a': '2', 'b': '1', 'c': '2'}
            )
            self.assertEqual(apply('one', {}).to_dict()['data'], {'a': '2', 'c': '2'})


class Yaml(ClusterTest):
    def test_a_file_of_documents_is_created_and_failures_are_told(self):
        text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: from-yaml}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: from-yaml}
spec:
  replicas: 0
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: "example.test/tool:1"}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: from-list}, stringData: {p: q}}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: from-list}, rules: []}
- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: from-list}, spec: {podSelector: {}}}
- {apiVersion: batch/v1, kind: CronJob, metadata: {name: from-list}, spec: {schedule: "* * * * *", suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}}
"""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'objects.yaml')
            with open(path, 'w', encoding='utf8') as file:
                file.write(text)
            api = client.ApiClient()
            made = utils.create_from_yaml(api, path, namespace=self.namespace)
            self.assertEqual([len(part) for part in made], [1, 1, 4])
            secret = self.core.read_namespaced_secret('from-list', self.namespace)
            self.assertEqual((secret.data, secret.string_data), ({'p': 'cQ=='}, None))
            with self.assertRaises(utils.FailToCreateError) as raised:
                utils.create_from_yaml(api, path, namespace=self.namespace)
            reasons = [json.loads(e.body)['reason'] for e in raised.exception.api_exceptions]
            self.assertEqual(reasons, ['AlreadyExists'] * 6)


if __name__ == '__main__':
    unittest.main()
