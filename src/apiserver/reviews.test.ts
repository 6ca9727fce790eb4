import { expect, test } from 'vitest';
import { configMaps, localSubjectAccessReviews, tokenReviews } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import { builtinKinds } from '#resources/index.ts';
import { isReview } from './admission/match.ts';
import { createNamespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { tokenReview } from './authn/reviews.ts';
import type { AdmissionPlugin, AdmissionRequest, ReviewDef } from './contract.ts';
import { startTestServer } from './testing.ts';

const review = (token: string): object => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } });
const specOf = (r: AdmissionRequest): { token: string } => (r.object as unknown as { spec: { token: string } }).spec;
const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const reviews = [
  tokenReview([(token) => (token === 'good' ? { user: { name: 'alice', groups: [] }, audiences: ['api'] } : undefined)], ['api']),
];

test('admission sees a review as it sees objects that are created: it may change it, and refuse it before it is answered', async () => {
  const seen: unknown[] = [];
  let answered = 0;
  const counted = reviews.map(
    (r): ReviewDef => ({
      ...r,
      handle: (...given) => {
        answered++;
        return r.handle(...given);
      },
    }),
  );
  const changes: AdmissionPlugin = {
    name: 'Changes',
    handles: () => true,
    admit: (r) => {
      seen.push([r.operation, r.def.ref.plural, r.dryRun]);
      const spec = specOf(r);
      if (spec.token === 'nickname' && r.object !== undefined) r.object['spec'] = { ...spec, token: 'good' };
    },
    validate: (r) => {
      if (specOf(r).token === 'refused') throw new StatusError('Forbidden', 'not this one');
    },
  };
  const { call } = await startTestServer(builtinKinds, { reviews: counted, admission: () => [changes] });
  expect(await call('POST', path, review('nickname'))).toMatchObject({
    object: { status: { authenticated: true, user: { username: 'alice' } } },
  });
  expect(await call('POST', `${path}?dryRun=All`, review('unknown'))).toMatchObject({ object: { status: { authenticated: false } } });
  expect(answered).toBe(2);
  expect(await call('POST', path, review('refused'))).toMatchObject({ status: 403, object: { message: 'not this one' } });
  expect(answered).toBe(2);
  expect(seen).toEqual([
    ['CREATE', 'tokenreviews', false],
    ['CREATE', 'tokenreviews', true],
    ['CREATE', 'tokenreviews', false],
  ]);
});

test('a review about a namespace that is not there is answered', async () => {
  const local: ReviewDef = { resource: localSubjectAccessReviews, handle: async (object) => await Promise.resolve({ ...object }) };
  const { call } = await startTestServer(builtinKinds, { reviews: [local], admission: (objects) => [createNamespaceLifecycle(objects)] });
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'LocalSubjectAccessReview',
    metadata: { namespace: 'none' },
    spec: { user: 'alice', resourceAttributes: { namespace: 'none', verb: 'get', resource: 'pods' } },
  };
  expect(await call('POST', '/apis/authorization.k8s.io/v1/namespaces/none/localsubjectaccessreviews', body)).toMatchObject({
    status: 201,
  });
});

test.each([
  [tokenReviews, true],
  [localSubjectAccessReviews, true],
  [configMaps, false],
])('policies leave %o out: %s', (ref, left) => {
  expect(isReview({ def: { ref } } as AdmissionRequest)).toBe(left);
});
