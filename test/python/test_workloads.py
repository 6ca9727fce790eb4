"""Deployments, sets, jobs and what they run, through the typed clients."""

import unittest

from cluster import ClusterTest, container, gone, is_ready, until
from kubernetes import client


def template(script, labels, **spec):
    return client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[container(script)], termination_grace_period_seconds=1, **spec),
    )


def meta(name):
    return client.V1ObjectMeta(name=name)


class Workloads(ClusterTest):
    def setUp(self):
        self.apps = client.AppsV1Api()
        self.batch = client.BatchV1Api()

    def test_a_deployment_rolls_out_scales_and_goes_with_its_pods(self):
        labels = {'app': 'web'}
        self.apps.create_namespaced_deployment(
            self.namespace,
            client.V1Deployment(
                metadata=meta('web'),
                spec=client.V1DeploymentSpec(
                    replicas=2,
                    selector=client.V1LabelSelector(match_labels=labels),
                    template=template('sleep 1000', labels),
                ),
            ),
        )

        def rolled_out(found):
            status = found.status
            return (
                status.observed_generation == found.metadata.generation
                and status.updated_replicas == found.spec.replicas == status.available_replicas == status.replicas
            )

        def complete():
            return until(
                self.apps.list_namespaced_deployment, rolled_out, self.namespace, field_selector='metadata.name=web'
            )

        complete()
        scale = self.apps.read_namespaced_deployment_scale('web', self.namespace)
        self.assertEqual((scale.spec.replicas, scale.status.replicas, scale.status.selector), (2, 2, 'app=web'))
        scale.spec.replicas = 1
        self.apps.replace_namespaced_deployment_scale('web', self.namespace, scale)
        self.assertEqual(complete().status.available_replicas, 1)
        self.apps.patch_namespaced_deployment_scale('web', self.namespace, {'spec': {'replicas': 2}})
        self.apps.patch_namespaced_deployment(
            'web', self.namespace, {'spec': {'template': {'metadata': {'annotations': {'restarted': 'now'}}}}}
        )
        complete()
        sets = self.apps.list_namespaced_replica_set(self.namespace, label_selector='app=web').items
        revisions = {s.metadata.annotations['deployment.kubernetes.io/revision']: s.status.replicas for s in sets}
        self.assertEqual(revisions, {'1': 0, '2': 2})
        self.apps.delete_namespaced_deployment('web', self.namespace, propagation_policy='Foreground')
        gone(self.apps.list_namespaced_deployment, self.namespace)
        gone(self.apps.list_namespaced_replica_set, self.namespace)
        gone(self.core.list_namespaced_pod, self.namespace, label_selector='app=web')

    def test_stateful_and_daemon_sets_become_ready_and_keep_their_revisions(self):
        for name in ('state', 'daemon'):
            labels = {'app': name}
            spec = {'selector': client.V1LabelSelector(match_labels=labels), 'template': template('sleep 1000', labels)}
            if name == 'state':
                self.core.create_namespaced_service(
                    self.namespace,
                    client.V1Service(metadata=meta(name), spec=client.V1ServiceSpec(cluster_ip='None', selector=labels)),
                )
                self.apps.create_namespaced_stateful_set(
                    self.namespace,
                    client.V1StatefulSet(
                        metadata=meta(name), spec=client.V1StatefulSetSpec(service_name=name, replicas=1, **spec)
                    ),
                )
            else:
                self.apps.create_namespaced_daemon_set(
                    self.namespace, client.V1DaemonSet(metadata=meta(name), spec=client.V1DaemonSetSpec(**spec))
                )
        until(self.apps.list_namespaced_stateful_set, lambda s: s.status.ready_replicas == 1, self.namespace)
        until(
            self.apps.list_namespaced_daemon_set,
            lambda s: s.status.number_ready == s.status.desired_number_scheduled == 1,
            self.namespace,
        )
        self.assertTrue(is_ready(self.core.read_namespaced_pod('state-0', self.namespace)))
        owners = {
            r.metadata.owner_references[0].kind: r.data
            for r in self.apps.list_namespaced_controller_revision(self.namespace).items
        }
        self.assertEqual(set(owners), {'StatefulSet', 'DaemonSet'})
        self.assertIn('template', owners['DaemonSet']['spec'])

    def test_a_job_completes_its_log_is_read_and_its_pods_go_with_it(self):
        self.batch.create_namespaced_job(
            self.namespace,
            client.V1Job(
                metadata=meta('once'),
                spec=client.V1JobSpec(backoff_limit=0, template=template('echo done', {'a': 'b'}, restart_policy='Never')),
            ),
        )
        done = until(
            self.batch.list_namespaced_job,
            lambda j: any(c.type == 'Complete' and c.status == 'True' for c in j.status.conditions or []),
            self.namespace,
            field_selector='metadata.name=once',
        )
        self.assertEqual((done.status.succeeded, done.status.failed), (1, None))
        ran = self.core.list_namespaced_pod(self.namespace, label_selector='job-name=once').items[0]
        self.assertEqual(ran.status.container_statuses[0].state.terminated.exit_code, 0)
        self.assertEqual(self.core.read_namespaced_pod_log(ran.metadata.name, self.namespace), 'done\n')
        deleted = self.batch.delete_namespaced_job('once', self.namespace, propagation_policy='Background')
        self.assertEqual(deleted.status, 'Success')
        gone(self.core.list_namespaced_pod, self.namespace, label_selector='job-name=once')

    def test_a_cron_job_is_suspended_by_a_patch_and_a_version_that_went_is_not_found(self):
        job = client.V1JobTemplateSpec(
            spec=client.V1JobSpec(template=template('true', {'a': 'b'}, restart_policy='OnFailure'))
        )
        made = self.batch.create_namespaced_cron_job(
            self.namespace,
            client.V1CronJob(metadata=meta('cron'), spec=client.V1CronJobSpec(schedule='0 0 1 1 *', job_template=job)),
        )
        self.assertEqual((made.spec.suspend, made.spec.concurrency_policy), (False, 'Allow'))
        patched = self.batch.patch_namespaced_cron_job('cron', self.namespace, {'spec': {'suspend': True}})
        self.assertTrue(patched.spec.suspend)
        with self.assertRaises(client.ApiException) as raised:
            client.BatchV1beta1Api().list_namespaced_cron_job(self.namespace)
        self.assertEqual(raised.exception.status, 404)

    def test_autoscalers_ingresses_policies_and_classes_decode(self):
        hpa = client.AutoscalingV1Api().create_namespaced_horizontal_pod_autoscaler(
            self.namespace,
            client.V1HorizontalPodAutoscaler(
                metadata=meta('auto'),
                spec=client.V1HorizontalPodAutoscalerSpec(
                    max_replicas=3,
                    target_cpu_utilization_percentage=80,
                    scale_target_ref=client.V1CrossVersionObjectReference(
                        api_version='apps/v1', kind='Deployment', name='none'
                    ),
                ),
            ),
        )
        self.assertEqual((hpa.spec.min_replicas, hpa.status.desired_replicas), (1, 0))
        networking = client.NetworkingV1Api()
        networking.create_namespaced_ingress(
            self.namespace,
            client.V1Ingress(
                metadata=meta('in'),
                spec=client.V1IngressSpec(
                    rules=[
                        client.V1IngressRule(
                            host='a.example.test',
                            http=client.V1HTTPIngressRuleValue(
                                paths=[
                                    client.V1HTTPIngressPath(
                                        path='/',
                                        path_type='Prefix',
                                        backend=client.V1IngressBackend(
                                            service=client.V1IngressServiceBackend(
                                                name='s', port=client.V1ServiceBackendPort(number=80)
                                            )
                                        ),
                                    )
                                ]
                            ),
                        )
                    ]
                ),
            ),
        )
        self.assertEqual(networking.list_namespaced_ingress(self.namespace).items[0].spec.rules[0].host, 'a.example.test')
        networking.create_namespaced_network_policy(
            self.namespace,
            client.V1NetworkPolicy(
                metadata=meta('deny'),
                spec=client.V1NetworkPolicySpec(pod_selector=client.V1LabelSelector(), policy_types=['Ingress']),
            ),
        )
        self.assertIsNotNone(networking.read_namespaced_network_policy('deny', self.namespace).spec.pod_selector)
        self.assertEqual(client.DiscoveryV1Api().list_namespaced_endpoint_slice('default').items[0].ports[0].name, 'https')
        self.assertEqual(client.SchedulingV1Api().read_priority_class('system-node-critical').value, 2000001000)
        self.assertTrue(client.RbacAuthorizationV1Api().list_cluster_role(label_selector='kubernetes.io/bootstrapping').items)
        for listing in (
            client.StorageV1Api().list_storage_class,
            client.StorageV1Api().list_csi_node,
            client.NodeV1Api().list_runtime_class,
            client.CertificatesV1Api().list_certificate_signing_request,
            client.AdmissionregistrationV1Api().list_validating_webhook_configuration,
            client.ApiextensionsV1Api().list_custom_resource_definition,
            client.ApiregistrationV1Api().list_api_service,
            client.CoordinationV1Api().list_lease_for_all_namespaces,
            self.core.list_persistent_volume,
            self.core.list_endpoints_for_all_namespaces,
            self.core.list_event_for_all_namespaces,
            self.core.list_secret_for_all_namespaces,
        ):
            self.assertTrue(listing().kind.endswith('List'))


if __name__ == '__main__':
    unittest.main()
