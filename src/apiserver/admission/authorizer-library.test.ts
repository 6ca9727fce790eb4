import { expect, test } from 'vitest';
import { createCel } from '#kube/cel.ts';
import type { AuthorizationAttributes } from '../contract.ts';
import { authorizerValue, createAsker, declareAuthorizer } from './authorizer-library.ts';

const scope = createCel().scope();
declareAuthorizer(scope);

/** Runs an expression against an authorizer that allows to get, and gives what it was asked. */
function run(expression: string) {
  const asked: AuthorizationAttributes[] = [];
  const asker = createAsker((attributes) => {
    asked.push(attributes);
    if (attributes.verb === 'fail') throw new Error('it is broken');
    return { decision: attributes.verb === 'get' ? 'allow' : 'deny', reason: 'so' };
  }, new AbortController().signal);
  const own = { group: 'apps', resource: 'deployments', subresource: 'status', namespace: 'default', name: 'd' };
  const outcome = scope.compile(expression).run({ authorizer: authorizerValue(asker, { name: 'admin', groups: [] }, own) });
  return { ...outcome, asked };
}

const nothing = { resourceRequest: true, group: '', version: '*', resource: '', subresource: '', namespace: '', name: '', path: '' };

test.each<[string, unknown, object[]]>([
  ["authorizer.path('/healthz').check('get').allowed()", true, [{ ...nothing, resourceRequest: false, path: '/healthz', verb: 'get' }]],
  ["authorizer.group('').resource('pods').check('create').allowed()", false, [{ ...nothing, resource: 'pods', verb: 'create' }]],
  [
    "authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend').check('get').reason()",
    'so',
    [{ ...nothing, group: 'apps', resource: 'deployments', subresource: 'status', namespace: 'test', name: 'backend', verb: 'get' }],
  ],
  [
    "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=n').labelSelector('a in (b, c)').check('list').errored()",
    false,
    [{ ...nothing, resource: 'pods', fieldSelector: 'spec.nodeName=n', labelSelector: 'a in (b, c)', verb: 'list' }],
  ],
  ["authorizer.group('').resource('pods').check('fail').errored()", true, [{ ...nothing, resource: 'pods', verb: 'fail' }]],
  ["authorizer.group('').resource('pods').check('fail').error()", 'it is broken', [{ ...nothing, resource: 'pods', verb: 'fail' }]],
  ["authorizer.group('').resource('pods').check('get').error()", '', [{ ...nothing, resource: 'pods', verb: 'get' }]],
  [
    "authorizer.requestResource.check('get').allowed()",
    true,
    [{ ...nothing, group: 'apps', resource: 'deployments', subresource: 'status', namespace: 'default', name: 'd', verb: 'get' }],
  ],
])('%s', (expression, value, questions) => {
  const { asked, ...outcome } = run(expression);
  expect(outcome).toMatchObject({ value });
  expect(asked.map(({ user: _user, ...rest }) => rest)).toEqual(questions);
});

test('a service account is asked for by its name and the groups of its namespace', () => {
  const { asked } = run("authorizer.serviceAccount('prod', 'robot').group('').resource('pods').check('get').allowed()");
  expect(asked[0]?.user).toEqual({
    name: 'system:serviceaccount:prod:robot',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:prod'],
  });
});

test.each<[string, string]>([
  ["authorizer.path(' ').check('get').allowed()", 'path must not be empty'],
  ["authorizer.group('').resource('').check('get').allowed()", 'resource must not be empty'],
  ["authorizer.serviceAccount('prod', 'No!').path('/a').check('get').allowed()", 'Invalid service account name'],
  ["authorizer.serviceAccount('No!', 'robot').path('/a').check('get').allowed()", 'Invalid service account namespace'],
  ['authorizer.group("") == authorizer.group("")', 'no such overload'],
])('%s fails', (expression, message) => {
  const outcome = run(expression);
  expect('error' in outcome ? outcome.error.message : undefined).toBe(message);
});

/** The figures of upstream's TestAuthzLibrary (apiserver/pkg/cel/library/cost_test.go). */
test.each<[string, number]>([
  ["authorizer.path('/healthz')", 2],
  ["authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend')", 6],
  ["authorizer.group('').resource('pods').fieldSelector('spec.nodeName=example-node-name.fully.qualified.domain.name.example.com')", 1821],
  ["authorizer.group('').resource('pods').labelSelector('spec.nodeName=example-node-name.fully.qualified.domain.name.example.com')", 1821],
  ["authorizer.path('/healthz').check('get').allowed()", 350_003],
  [
    "authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend').check('create').allowed()",
    350_007,
  ],
])('%s costs %i', (expression, cost) => {
  expect(run(expression)).toMatchObject({ cost });
});

test('two checks fit into an expression, a third does not', () => {
  const check = "authorizer.path('/healthz').check('get').allowed()";
  expect(run(`${check} && ${check}`)).toMatchObject({ value: true, cost: 700_006 });
  const outcome = run(`${check} && ${check} && ${check}`);
  expect('error' in outcome ? outcome.error.message : undefined).toBe('operation cancelled: actual cost limit exceeded');
});
