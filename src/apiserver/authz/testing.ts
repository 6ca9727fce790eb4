/** Questions to authorizers, for tests. */
import type { AuthorizationAttributes } from '../contract.ts';

/** May alice, a developer, get the pods of namespace ns? `more` asks something else. */
export const question = (more: Partial<AuthorizationAttributes> = {}): AuthorizationAttributes => ({
  user: { name: 'alice', groups: ['dev'] },
  verb: 'get',
  resourceRequest: true,
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: '',
  namespace: 'ns',
  name: '',
  path: '',
  ...more,
});
