"""Watches through watch.Watch: events, restarts and what happens when the history is gone."""

import unittest

from cluster import ClusterTest
from kubernetes import client, watch
from kubernetes.client.rest import ApiException


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={'watched': 'yes'}), data=data)


class Watches(ClusterTest):
    def listing(self):
        return self.core.list_namespaced_config_map(self.namespace, label_selector='watched=yes')

    def events(self, count, **kwargs):
        """The next events of the namespace's ConfigMaps as (type, name)."""
        stream = watch.Watch()
        seen = []
        for event in stream.stream(
            self.core.list_namespaced_config_map, self.namespace, label_selector='watched=yes', **kwargs
        ):
            seen.append((event['type'], event['object'].metadata.name))
            if len(seen) == count:
                stream.stop()
        return seen, stream.resource_version

    def test_changes_come_in_order_and_a_stopped_watch_resumes_where_it_was(self):
        start = self.listing().metadata.resource_version
        self.core.create_namespaced_config_map(self.namespace, config_map('a'))
        self.core.patch_namespaced_config_map('a', self.namespace, {'data': {'x': '1'}})
        self.core.create_namespaced_config_map(self.namespace, config_map('b'))
        first, version = self.events(2, resource_version=start)
        self.assertEqual(first, [('ADDED', 'a'), ('MODIFIED', 'a')])
        self.core.patch_namespaced_config_map('b', self.namespace, {'metadata': {'labels': {'watched': None}}})
        self.core.delete_namespaced_config_map('a', self.namespace)
        rest, _ = self.events(3, resource_version=version)
        self.assertEqual(rest, [('ADDED', 'b'), ('DELETED', 'b'), ('DELETED', 'a')])

    def test_without_a_version_a_watch_begins_with_what_is_there(self):
        self.core.create_namespaced_config_map(self.namespace, config_map('there'))
        seen, _ = self.events(1)
        self.assertEqual(seen, [('ADDED', 'there')])
        self.core.delete_namespaced_config_map('there', self.namespace)

    def test_a_watch_ends_after_its_timeout_and_bookmarks_tell_how_far_it_got(self):
        stream = watch.Watch()
        types = [
            event['type']
            for event in stream.stream(
                self.core.list_namespaced_config_map,
                self.namespace,
                resource_version=self.listing().metadata.resource_version,
                allow_watch_bookmarks=True,
                timeout_seconds=1,
            )
        ]
        self.assertLessEqual(set(types), {'BOOKMARK'})

    def test_a_version_that_is_too_old_is_gone_and_listing_again_helps(self):
        start = self.listing().metadata.resource_version
        # The server keeps a bounded history of bytes: large objects push the start out of it.
        self.core.create_namespaced_config_map(self.namespace, config_map('big', x='x' * 900_000))
        for i in range(40):
            self.core.patch_namespaced_config_map('big', self.namespace, {'data': {'i': str(i)}})
        with self.assertRaises(ApiException) as raised:
            self.events(1, resource_version=start)
        self.assertEqual(raised.exception.status, 410)
        self.assertIn('Expired: too old resource version: %s (' % start, raised.exception.reason)
        fresh = self.listing().metadata.resource_version
        self.core.delete_namespaced_config_map('big', self.namespace)
        self.assertEqual(self.events(1, resource_version=fresh)[0], [('DELETED', 'big')])
        expired = self.refused(
            410,
            'Expired',
            self.core.list_namespaced_config_map,
            self.namespace,
            resource_version=start,
            resource_version_match='Exact',
        )
        self.assertEqual(expired['message'], 'The resourceVersion for the provided list is too old.')

    def test_two_watchers_see_the_same_change_of_a_node(self):
        node = self.core.list_node().items[0].metadata.name
        start = self.core.list_node().metadata.resource_version
        self.core.patch_node(node, {'metadata': {'annotations': {'example.test/seen': 'yes'}}})
        for _ in range(2):
            stream = watch.Watch()
            for event in stream.stream(self.core.list_node, resource_version=start, timeout_seconds=30):
                if (event['object'].metadata.annotations or {}).get('example.test/seen') == 'yes':
                    stream.stop()
                    break
            else:
                self.fail('the annotation was not seen')
        self.core.patch_node(node, {'metadata': {'annotations': {'example.test/seen': None}}})


if __name__ == '__main__':
    unittest.main()
