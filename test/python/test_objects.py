"""Create, read, list, patch and delete through the typed clients."""

import datetime
import os
import tempfile
import unittest

from cluster import ClusterTest, gone, payload, pod, until
from kubernetes import client
from kubernetes.config.incluster_config import InClusterConfigLoader


def config_map(name, labels=None, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


class Objects(ClusterTest):
    def test_version_and_discovery_decode(self):
        version = client.VersionApi().get_code()
        self.assertEqual((version.major, version.minor), ('1', '36'))
        self.assertEqual(client.CoreApi().get_api_versions().versions, ['v1'])
        groups = {g.name: g for g in client.ApisApi().get_api_versions().groups}
        self.assertEqual(groups['apps'].preferred_version.group_version, 'apps/v1')
        kinds = {r.kind for r in client.AppsV1Api().get_api_resources().resources}
        self.assertLessEqual({'Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'}, kinds)
        self.assertEqual(client.AutoscalingApi().get_api_group().preferred_version.version, 'v2')
        self.assertIn('jwks_uri', client.WellKnownApi().get_service_account_issuer_open_id_configuration())

    def test_a_created_object_comes_back_with_metadata_and_can_be_replaced_once(self):
        made = self.core.create_namespaced_config_map(self.namespace, config_map('one', a='1'))
        self.assertIsInstance(made.metadata.creation_timestamp, datetime.datetime)
        self.assertEqual(made.metadata.managed_fields[0].operation, 'Update')
        made.data['a'] = '2'
        replaced = self.core.replace_namespaced_config_map('one', self.namespace, made)
        self.assertEqual(replaced.data, {'a': '2'})
        self.assertNotEqual(replaced.metadata.resource_version, made.metadata.resource_version)
        stale = self.refused(409, 'Conflict', self.core.replace_namespaced_config_map, 'one', self.namespace, made)
        self.assertIn('the object has been modified; please apply your changes to the latest version', stale['message'])
        again = self.refused(409, 'AlreadyExists', self.core.create_namespaced_config_map, self.namespace, config_map('one'))
        self.assertEqual(again['message'], 'configmaps "one" already exists')
        self.assertEqual(again['details'], {'name': 'one', 'kind': 'configmaps'})
        self.refused(404, 'NotFound', self.core.read_namespaced_config_map, 'none', self.namespace)
        bad = self.refused(422, 'Invalid', self.core.create_namespaced_config_map, self.namespace, config_map('No_Good'))
        self.assertEqual(bad['details']['causes'][0]['field'], 'metadata.name')

    def test_dry_runs_are_answered_and_not_kept(self):
        made = self.core.create_namespaced_config_map(self.namespace, config_map('dry', a='1'), dry_run='All')
        self.assertTrue(made.metadata.uid)
        self.refused(404, 'NotFound', self.core.read_namespaced_config_map, 'dry', self.namespace)

    def test_lists_select_by_labels_and_fields_and_come_in_pages(self):
        for i in range(7):
            labels = {'app': 'paged', 'odd': str(i % 2 == 1).lower()}
            self.core.create_namespaced_config_map(self.namespace, config_map('page-%d' % i, labels=labels))

        def names(**selectors):
            return [c.metadata.name for c in self.core.list_namespaced_config_map(self.namespace, **selectors).items]

        self.assertEqual(names(label_selector='app=paged,odd=true'), ['page-1', 'page-3', 'page-5'])
        self.assertEqual(names(label_selector='app in (paged),odd notin (true)'), ['page-0', 'page-2', 'page-4', 'page-6'])
        self.assertEqual(names(label_selector='app,!odd'), [])
        self.assertEqual(names(field_selector='metadata.name=page-2'), ['page-2'])
        everywhere = self.core.list_config_map_for_all_namespaces(label_selector='app=paged')
        self.assertEqual(len(everywhere.items), 7)
        pages, remaining, token = [], [], None
        while token != '':
            page = self.core.list_namespaced_config_map(self.namespace, limit=3, _continue=token)
            pages.append(len(page.items))
            remaining.append(page.metadata.remaining_item_count)
            token = page.metadata._continue or ''
        total = sum(pages)
        self.assertEqual(pages[:2], [3, 3])
        self.assertEqual(remaining[:2], [total - 3, total - 6])
        self.assertIsNone(remaining[-1])
        self.refused(400, 'BadRequest', self.core.list_namespaced_config_map, self.namespace, label_selector='a=(')

    def test_every_kind_of_patch(self):
        self.core.create_namespaced_service(
            self.namespace,
            client.V1Service(
                metadata=client.V1ObjectMeta(name='patched'),
                spec=client.V1ServiceSpec(selector={'a': 'b'}, ports=[client.V1ServicePort(name='x', port=80)]),
            ),
        )
        # A dict goes as a strategic merge patch, which adds to the ports by their key.
        strategic = self.core.patch_namespaced_service(
            'patched', self.namespace, {'spec': {'ports': [{'name': 'y', 'port': 81}]}}
        )
        self.assertEqual([p.port for p in strategic.spec.ports], [81, 80])
        # A list goes as a JSON patch.
        ops = [{'op': 'test', 'path': '/spec/selector/a', 'value': 'b'}, {'op': 'remove', 'path': '/spec/ports/0'}]
        self.assertEqual(
            [p.port for p in self.core.patch_namespaced_service('patched', self.namespace, ops).spec.ports], [80]
        )
        self.refused(422, 'Invalid', self.core.patch_namespaced_service, 'patched', self.namespace, ops)
        # A merge patch needs its content type named.
        merged = client.ApiClient().call_api(
            '/api/v1/namespaces/%s/services/patched' % self.namespace,
            'PATCH',
            body={'spec': {'ports': [{'name': 'z', 'port': 82}]}},
            header_params={'Content-Type': 'application/merge-patch+json', 'Accept': 'application/json'},
            response_type='V1Service',
            auth_settings=['BearerToken'],
        )[0]
        self.assertEqual([p.port for p in merged.spec.ports], [82])

    def test_status_is_its_own_resource(self):
        quota = client.V1ResourceQuota(
            metadata=client.V1ObjectMeta(name='quota'), spec=client.V1ResourceQuotaSpec(hard={'count/secrets': '5'})
        )
        self.core.create_namespaced_resource_quota(self.namespace, quota)
        seen = until(
            self.core.list_namespaced_resource_quota,
            lambda q: (q.status.hard or {}).get('count/secrets') == '5',
            self.namespace,
        )
        patched = self.core.patch_namespaced_resource_quota_status(
            'quota', self.namespace, {'spec': {'hard': {'count/secrets': '9'}}, 'metadata': {'labels': {'a': 'b'}}}
        )
        # Of most kinds a write of the status may carry metadata, as upstream's strategies have it, but never the spec.
        self.assertEqual((patched.spec.hard, patched.metadata.labels), (seen.spec.hard, {'a': 'b'}))

    def test_deletes_obey_their_options(self):
        made = self.core.create_namespaced_config_map(self.namespace, config_map('kept'))
        other = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid='other'))
        refusal = self.refused(
            409, 'Conflict', self.core.delete_namespaced_config_map, 'kept', self.namespace, body=other
        )
        self.assertIn('Precondition failed: UID in precondition: other, UID in object meta: ', refusal['message'])
        done = self.core.delete_namespaced_config_map(
            'kept',
            self.namespace,
            body=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid)),
        )
        self.assertEqual((done.status, done.details.uid), ('Success', made.metadata.uid))
        owner = self.core.create_namespaced_config_map(self.namespace, config_map('owner'))
        reference = client.V1OwnerReference(
            api_version='v1', kind='ConfigMap', name='owner', uid=owner.metadata.uid, block_owner_deletion=True
        )
        for policy, name in (('Orphan', 'orphan'), ('Foreground', 'owned')):
            child = config_map(name, labels={'child': name})
            child.metadata.owner_references = [reference]
            self.core.create_namespaced_config_map(self.namespace, child)
        self.core.patch_namespaced_config_map('orphan', self.namespace, {'metadata': {'ownerReferences': None}})
        self.core.delete_namespaced_config_map('owner', self.namespace, propagation_policy='Foreground')
        gone(self.core.list_namespaced_config_map, self.namespace, field_selector='metadata.name=owner')
        gone(self.core.list_namespaced_config_map, self.namespace, label_selector='child=owned')
        self.core.read_namespaced_config_map('orphan', self.namespace)
        self.core.delete_collection_namespaced_config_map(self.namespace, label_selector='child')
        gone(self.core.list_namespaced_config_map, self.namespace, label_selector='child')

    def test_a_finalizer_holds_a_deleted_object(self):
        held = config_map('held')
        held.metadata.finalizers = ['example.test/hold']
        self.core.create_namespaced_config_map(self.namespace, held)
        answer = self.core.delete_namespaced_config_map('held', self.namespace)
        self.assertIsNotNone(self.core.read_namespaced_config_map('held', self.namespace).metadata.deletion_timestamp)
        self.assertIsNotNone(answer)
        self.core.patch_namespaced_config_map(
            'held', self.namespace, [{'op': 'remove', 'path': '/metadata/finalizers/0'}]
        )
        self.refused(404, 'NotFound', self.core.read_namespaced_config_map, 'held', self.namespace)

    def test_leases_and_events_keep_their_microseconds(self):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=123456)
        leases = client.CoordinationV1Api()
        lease = client.V1Lease(
            metadata=client.V1ObjectMeta(name='lease'),
            spec=client.V1LeaseSpec(holder_identity='me', lease_duration_seconds=15, acquire_time=now, renew_time=now),
        )
        made = leases.create_namespaced_lease(self.namespace, lease)
        self.assertEqual(made.spec.renew_time, now)
        made.spec.renew_time = now + datetime.timedelta(seconds=5)
        self.assertEqual(
            leases.replace_namespaced_lease('lease', self.namespace, made).spec.renew_time, made.spec.renew_time
        )
        events = client.EventsV1Api()
        events.create_namespaced_event(
            self.namespace,
            client.EventsV1Event(
                metadata=client.V1ObjectMeta(name='seen.1'),
                event_time=now,
                reporting_controller='example.test/python',
                reporting_instance='one',
                action='Looking',
                reason='Seen',
                type='Normal',
                note='it was seen',
                regarding=client.V1ObjectReference(
                    api_version='coordination.k8s.io/v1', kind='Lease', name='lease', namespace=self.namespace
                ),
            ),
        )
        core_view = self.core.list_namespaced_event(self.namespace, field_selector='involvedObject.name=lease').items
        self.assertEqual([(e.message, e.event_time) for e in core_view], [('it was seen', now)])

    def test_node_and_namespace_objects_decode(self):
        node = self.core.list_node().items[0]
        self.assertTrue(node.status.node_info.container_runtime_version.startswith('containerd://'))
        self.assertEqual(self.core.read_namespace_status(self.namespace).status.phase, 'Active')
        self.assertTrue(self.core.read_node_status(node.metadata.name).status.images)


class Rights(ClusterTest):
    def test_a_token_may_do_what_its_role_grants_and_no_more(self):
        api, answer = self.as_account('reader', expiration_seconds=600)
        claims = payload(answer.status.token)
        self.assertEqual(claims['sub'], 'system:serviceaccount:%s:reader' % self.namespace)
        self.assertEqual(claims['exp'] - claims['iat'], 600)
        mine = client.CoreV1Api(api)
        denied = self.refused(403, 'Forbidden', mine.list_namespaced_config_map, self.namespace)
        self.assertIn('cannot list resource "configmaps" in API group "" in the namespace', denied['message'])
        rbac = client.RbacAuthorizationV1Api()
        rbac.create_namespaced_role(
            self.namespace,
            client.V1Role(
                metadata=client.V1ObjectMeta(name='reader'),
                rules=[client.V1PolicyRule(api_groups=[''], resources=['configmaps'], verbs=['get', 'list'])],
            ),
        )
        rbac.create_namespaced_role_binding(
            self.namespace,
            client.V1RoleBinding(
                metadata=client.V1ObjectMeta(name='reader'),
                role_ref=client.V1RoleRef(api_group='rbac.authorization.k8s.io', kind='Role', name='reader'),
                subjects=[client.V1Subject(kind='ServiceAccount', name='reader', namespace=self.namespace)],
            ),
        )
        self.assertEqual(
            [c.metadata.name for c in mine.list_namespaced_config_map(self.namespace).items], ['kube-root-ca.crt']
        )
        self.refused(403, 'Forbidden', mine.delete_namespaced_config_map, 'kube-root-ca.crt', self.namespace)
        review = client.AuthorizationV1Api(api).create_self_subject_access_review(
            client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(
                    resource_attributes=client.V1ResourceAttributes(
                        namespace=self.namespace, verb='list', resource='configmaps'
                    )
                )
            )
        )
        self.assertTrue(review.status.allowed)
        told = client.AuthenticationV1Api().create_token_review(
            client.V1TokenReview(spec=client.V1TokenReviewSpec(token=answer.status.token))
        )
        self.assertEqual(
            (told.status.authenticated, told.status.user.username),
            (True, 'system:serviceaccount:%s:reader' % self.namespace),
        )
        self.core.delete_namespaced_service_account('reader', self.namespace)
        with self.assertRaises(client.ApiException) as raised:
            mine.list_namespaced_config_map(self.namespace)
        self.assertEqual(raised.exception.status, 401)

    def test_the_client_works_as_within_a_pod(self):
        _, answer = self.as_account('inside')
        with tempfile.TemporaryDirectory() as folder:
            token, authority = os.path.join(folder, 'token'), os.path.join(folder, 'ca.crt')
            with open(token, 'w', encoding='utf8') as file:
                file.write(answer.status.token)
            with open(authority, 'w', encoding='utf8') as file:
                file.write(self.core.read_namespaced_config_map('kube-root-ca.crt', self.namespace).data['ca.crt'])
            service = self.core.read_namespaced_service('kubernetes', 'default').spec
            inside = client.Configuration()
            InClusterConfigLoader(
                token_filename=token,
                cert_filename=authority,
                environ={
                    'KUBERNETES_SERVICE_HOST': service.cluster_ip,
                    'KUBERNETES_SERVICE_PORT': str(service.ports[0].port),
                },
            ).load_and_set(inside)
            self.assertEqual(client.VersionApi(client.ApiClient(inside)).get_code().minor, '36')

    def test_an_eviction_respects_the_disruption_budget(self):
        self.core.create_namespaced_pod(self.namespace, pod('guarded', 'sleep 1000', labels={'app': 'guarded'}))
        until(self.core.list_namespaced_pod, lambda p: p.status.phase == 'Running', self.namespace)
        policy = client.PolicyV1Api()
        policy.create_namespaced_pod_disruption_budget(
            self.namespace,
            client.V1PodDisruptionBudget(
                metadata=client.V1ObjectMeta(name='guard'),
                spec=client.V1PodDisruptionBudgetSpec(
                    min_available=1, selector=client.V1LabelSelector(match_labels={'app': 'guarded'})
                ),
            ),
        )
        until(
            policy.list_namespaced_pod_disruption_budget,
            lambda b: b.status.current_healthy == 1 and b.status.observed_generation == 1,
            self.namespace,
        )
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name='guarded', namespace=self.namespace))
        refusal = self.refused(
            429, 'TooManyRequests', self.core.create_namespaced_pod_eviction, 'guarded', self.namespace, eviction
        )
        self.assertEqual(refusal['details']['causes'][0]['reason'], 'DisruptionBudget')
        policy.delete_namespaced_pod_disruption_budget('guard', self.namespace)
        gone(policy.list_namespaced_pod_disruption_budget, self.namespace)
        self.core.create_namespaced_pod_eviction('guarded', self.namespace, eviction)
        gone(self.core.list_namespaced_pod, self.namespace)


if __name__ == '__main__':
    unittest.main()
