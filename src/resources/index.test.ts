import { expect, test } from 'vitest';
import { decodeObject } from '#kube/decode.ts';
import * as refs from '#kube/refs.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { builtinKinds } from './index.ts';

test('every resource named in refs.ts is a kind, once', () => {
  const named = Object.values(refs).filter((value) => typeof value === 'object');
  expect(new Set(builtinKinds.map((kind) => kind.ref))).toEqual(new Set(named));
  expect(builtinKinds).toHaveLength(named.length);
});

test.each(builtinKinds.map((kind) => [`${apiVersionOf(kind.ref)} ${kind.ref.kind}`, kind] as const))(
  '%s decodes an empty object, defaults it, and decoding what comes out changes nothing',
  (_name, kind) => {
    const { object } = decodeObject(kind, {});
    kind.defaults?.(object);
    const again = decodeObject(kind, object).object;
    kind.defaults?.(again);
    expect(again).toEqual(object);
  },
);
