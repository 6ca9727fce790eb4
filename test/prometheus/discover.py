"""
Finds targets through the Kubernetes API and writes them for Prometheus' file_sd_configs, one file for each role.

Debian builds its Prometheus without kubernetes_sd_configs; the labels here are those which upstream's discovery gives
(discovery/kubernetes), as far as prometheus.yaml uses them.

Usage: discover.py SERVER TOKEN_FILE CA_FILE FOLDER
"""

import json
import os
import sys
import threading

from kubernetes import client, watch

server, token_file, ca_file, folder = sys.argv[1:]
configuration = client.Configuration()
configuration.host = server
configuration.ssl_ca_cert = ca_file
with open(token_file, encoding='utf8') as file:
    configuration.api_key = {'authorization': 'Bearer ' + file.read()}
client.Configuration.set_default(configuration)

core, networking, discovery = client.CoreV1Api(), client.NetworkingV1Api(), client.DiscoveryV1Api()


def metadata(kind, meta):
    found = {'__meta_kubernetes_%s_name' % kind: meta.name}
    for name, values in (('label', meta.labels), ('annotation', meta.annotations)):
        for key, value in (values or {}).items():
            safe = ''.join(c if c.isalnum() else '_' for c in key)
            found['__meta_kubernetes_%s_%s_%s' % (kind, name, safe)] = value
    return found


def of(kind, meta, **labels):
    return {
        '__meta_kubernetes_namespace': meta.namespace or '',
        **metadata(kind, meta),
        **{'__meta_kubernetes_' + key: value for key, value in labels.items()},
    }


def targets(address, labels):
    return {'targets': [address], 'labels': labels}


def node(item):
    address = next(a.address for a in item.status.addresses if a.type == 'InternalIP')
    yield targets('%s:%d' % (address, item.status.daemon_endpoints.kubelet_endpoint.port), of('node', item.metadata))


def service(item):
    for port in item.spec.ports or []:
        labels = of(
            'service', item.metadata, service_cluster_ip=item.spec.cluster_ip, service_port_number=str(port.port)
        )
        yield targets('%s.%s.svc:%d' % (item.metadata.name, item.metadata.namespace, port.port), labels)


def pod(item):
    owner = next((o for o in item.metadata.owner_references or [] if o.controller), None)
    for container in item.spec.containers:
        for port in container.ports or []:
            if item.status.pod_ip:
                labels = of(
                    'pod',
                    item.metadata,
                    pod_phase=item.status.phase,
                    pod_node_name=item.spec.node_name,
                    pod_controller_kind=owner.kind if owner else '',
                )
                yield targets('%s:%d' % (item.status.pod_ip, port.container_port), labels)


def endpoints(item):
    # Upstream takes the Service's labels; the endpoints controller copies them to the Endpoints.
    shared = {**of('endpoints', item.metadata), **metadata('service', item.metadata)}
    for subset in item.subsets or []:
        for ready, addresses in (('true', subset.addresses), ('false', subset.not_ready_addresses)):
            for address in addresses or []:
                for port in subset.ports or []:
                    labels = dict(
                        shared,
                        __meta_kubernetes_endpoint_ready=ready,
                        __meta_kubernetes_endpoint_port_name=port.name or '',
                        __meta_kubernetes_pod_name=address.target_ref.name if address.target_ref else '',
                    )
                    yield targets('%s:%d' % (address.ip, port.port), labels)


def endpointslice(item):
    for endpoint in item.endpoints or []:
        for port in item.ports or []:
            labels = of(
                'endpointslice',
                item.metadata,
                endpointslice_endpoint_conditions_ready=str(endpoint.conditions.ready).lower(),
                endpointslice_address_target_name=endpoint.target_ref.name if endpoint.target_ref else '',
            )
            for address in endpoint.addresses:
                yield targets('%s:%d' % (address, port.port), labels)


def ingress(item):
    secured = {host for tls in item.spec.tls or [] for host in tls.hosts or []}
    for rule in item.spec.rules or []:
        for path in rule.http.paths:
            scheme = 'https' if rule.host in secured else 'http'
            labels = of('ingress', item.metadata, ingress_scheme=scheme, ingress_path=path.path)
            yield targets(rule.host, labels)


def write(role, found):
    path = os.path.join(folder, role + '.json')
    with open(path + '.new', 'w', encoding='utf8') as file:
        json.dump(found, file)
    os.rename(path + '.new', path)


def follow(role, listing, make):
    """Lists, then watches; begins again when the watch has ended or its version is gone."""
    while True:
        listed = listing()
        items = {item.metadata.uid: item for item in listed.items}
        write(role, [t for item in items.values() for t in make(item)])
        version = listed.metadata.resource_version
        for event in watch.Watch().stream(listing, resource_version=version, timeout_seconds=600):
            if event['type'] == 'DELETED':
                items.pop(event['object'].metadata.uid, None)
            else:
                items[event['object'].metadata.uid] = event['object']
            write(role, [t for item in items.values() for t in make(item)])


for role, listing, make in (
    ('node', core.list_node, node),
    ('service', core.list_service_for_all_namespaces, service),
    ('pod', core.list_pod_for_all_namespaces, pod),
    ('endpoints', core.list_endpoints_for_all_namespaces, endpoints),
    ('endpointslice', discovery.list_endpoint_slice_for_all_namespaces, endpointslice),
    ('ingress', networking.list_ingress_for_all_namespaces, ingress),
):
    threading.Thread(target=follow, args=(role, listing, make)).start()
