import { describe, expect, test } from 'vitest';
import type { Draft } from '#kube/kind.ts';
import { type ConverterDeps, createWebhookConverter } from './webhook-converter.ts';

const signal = new AbortController().signal;
const object = (name: string, version = 'v1', more: object = {}): Draft =>
  ({
    kind: 'CronTab',
    apiVersion: `stable.example.com/${version}`,
    metadata: { name, namespace: 'default', uid: `uid-${name}`, labels: { a: 'b' }, generation: 3 },
    ...more,
  }) as unknown as Draft;

interface Review {
  readonly request: { readonly uid: string; readonly desiredAPIVersion: string; readonly objects: readonly Record<string, unknown>[] };
}
type Answer = (review: Review) => unknown;

const answering = (review: Review, convertedObjects: readonly unknown[]) => ({
  kind: 'ConversionReview',
  apiVersion: 'apiextensions.k8s.io/v1',
  response: { uid: review.request.uid, result: { status: 'Success' }, convertedObjects },
});
const renamed: Answer = (review) =>
  answering(
    review,
    review.request.objects.map((o) => ({ ...o, apiVersion: review.request.desiredAPIVersion, converted: true })),
  );

function setup(answer: Answer, versions = ['v1']) {
  const reviews: Review[] = [];
  const observed: Parameters<ConverterDeps['observe']>[0][] = [];
  const convert = createWebhookConverter(
    'crontabs.stable.example.com',
    { conversionReviewVersions: versions, clientConfig: { url: 'https://127.0.0.1/convert' } },
    {
      call: ({ body }) => {
        reviews.push(body as Review);
        return Promise.resolve().then(() => answer(body as Review));
      },
      uuid: () => 'the-uid',
      now: () => 0,
      observe: (conversion) => observed.push(conversion),
    },
  );
  return { convert, reviews, observed };
}

test('any number of objects are converted in one call; those in the version already are not sent', async () => {
  const { convert, reviews, observed } = setup(renamed);
  const made = await convert([object('a'), object('b', 'v2'), object('c')], 'stable.example.com/v2', signal);
  expect(made.map((o) => [o.metadata.name, o.apiVersion, o['converted']])).toEqual([
    ['a', 'stable.example.com/v2', true],
    ['b', 'stable.example.com/v2', undefined],
    ['c', 'stable.example.com/v2', true],
  ]);
  expect(reviews).toHaveLength(1);
  expect(reviews[0]).toMatchObject({ request: { uid: 'the-uid', desiredAPIVersion: 'stable.example.com/v2' } });
  expect(observed).toEqual([{ crd: 'crontabs.stable.example.com', from: 'v1', to: 'v2', failure: '', seconds: 0 }]);
});

test('nothing is asked for objects without metadata', async () => {
  const { convert, reviews } = setup(renamed);
  const empty = { kind: 'CronTab', apiVersion: 'stable.example.com/v1' } as unknown as Draft;
  expect(await convert([empty], 'stable.example.com/v2', signal)).toEqual([{ ...empty, apiVersion: 'stable.example.com/v2' }]);
  expect(reviews).toHaveLength(0);
});

test('of the metadata only labels and annotations may be changed', async () => {
  const { convert } = setup((review) =>
    answering(
      review,
      review.request.objects.map((o) => ({
        ...o,
        apiVersion: 'stable.example.com/v2',
        metadata: { name: 'a', namespace: 'default', uid: 'uid-a', generation: 9, finalizers: ['x'], annotations: { was: 'v1' } },
      })),
    ),
  );
  const [made] = await convert([object('a')], 'stable.example.com/v2', signal);
  expect(made?.metadata).toEqual({ name: 'a', namespace: 'default', uid: 'uid-a', generation: 3, annotations: { was: 'v1' } });
});

describe('an answer is refused', () => {
  const gvk = 'conversion webhook for stable.example.com/v1, Kind=CronTab';
  const one =
    (change: (o: Record<string, unknown>) => unknown): Answer =>
    (review) =>
      answering(
        review,
        review.request.objects.map((o) => change({ ...o, apiVersion: 'stable.example.com/v2' })),
      );
  const metadata = (more: object) => one((o) => ({ ...o, metadata: { ...(o['metadata'] as object), ...more } }));
  test.each<[string, Answer, string, string]>([
    [
      'that does not come',
      () => {
        throw new Error('Post "https://127.0.0.1/convert?timeout=30s": connection refused');
      },
      `${gvk} failed: Post "https://127.0.0.1/convert?timeout=30s": connection refused`,
      'call',
    ],
    [
      'of another kind',
      () => ({ kind: 'Pod', apiVersion: 'v1' }),
      `${gvk} failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v1, Kind=Pod`,
      'malformed_response',
    ],
    [
      'without a response',
      () => ({ kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1' }),
      `${gvk} failed: no response provided`,
      'malformed_response',
    ],
    [
      'to another question',
      (r) => ({ ...answering(r, []), response: { uid: 'x' } }),
      `${gvk} failed: expected response.uid="the-uid", got "x"`,
      'malformed_response',
    ],
    [
      'that says why it failed',
      (r) => ({ ...answering(r, []), response: { uid: 'the-uid', result: { status: 'Failure', message: 'not today' } } }),
      `${gvk} failed: not today`,
      'malformed_response',
    ],
    [
      'that failed without a word',
      (r) => ({ ...answering(r, []), response: { uid: 'the-uid', result: { status: 'Failure' } } }),
      `${gvk} failed: response.result.status was 'Failure', not 'Success'`,
      'malformed_response',
    ],
    ['with too few objects', (r) => answering(r, []), `${gvk} returned 0 objects, expected 1`, 'partial_response'],
    [
      'in another version',
      (r) => answering(r, r.request.objects),
      `${gvk} returned invalid converted object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v1)`,
      'invalid_converted_object',
    ],
    [
      'of another kind of object',
      one((o) => ({ ...o, kind: 'Other' })),
      `${gvk} returned invalid converted object at index 0: invalid kind (expected CronTab, received Other)`,
      'invalid_converted_object',
    ],
    [
      'with another name',
      metadata({ name: 'z' }),
      `${gvk} returned invalid converted object at index 0: must have the same name: a != z`,
      'invalid_converted_object',
    ],
    [
      'with another UID',
      metadata({ uid: 'z' }),
      `${gvk} returned invalid converted object at index 0: must have the same UID: uid-a != z`,
      'invalid_converted_object',
    ],
    [
      'without metadata',
      one((o) => ({ ...o, metadata: undefined })),
      `${gvk} returned invalid metadata in object at index 0: missing metadata in converted object`,
      'invalid_converted_object',
    ],
    [
      'with labels that are no text',
      metadata({ labels: { a: 1 } }),
      `${gvk} returned invalid metadata in object at index 0: metadata.labels[a] must be a string, but is int64 in converted object`,
      'invalid_converted_object',
    ],
    [
      'with labels that may not be',
      metadata({ labels: { a: '-' } }),
      `${gvk} returned invalid metadata in object at index 0: metadata.labels: Invalid value: "-": a valid label must be`,
      'invalid_converted_object',
    ],
    [
      'with a key that reaches for the prototype',
      one((o) => ({ ...o, metadata: { ...(o['metadata'] as object), annotations: JSON.parse('{"__proto__":"x"}') as unknown } })),
      `${gvk} returned invalid metadata in object at index 0: metadata.annotations has a key that may not be`,
      'invalid_converted_object',
    ],
  ])('%s', async (_title, answer, message, failure) => {
    const { convert, observed } = setup(answer);
    await expect(convert([object('a')], 'stable.example.com/v2', signal)).rejects.toMatchObject({
      reason: 'InternalError',
      code: 500,
      message: expect.stringContaining(message) as string,
    });
    expect(observed).toMatchObject([{ failure: `conversion_webhook_${failure}_failure` }]);
  });

  test('when no version of the review is known', async () => {
    const { convert } = setup(renamed, ['v1beta1']);
    await expect(convert([object('a')], 'stable.example.com/v2', signal)).rejects.toThrow('no supported conversion review versions');
  });
});
