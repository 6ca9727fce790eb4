import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { context, sequence } from './der.ts';
import { type AltNames, type Extension, issueCertificate, noAltNames } from './x509.ts';
import { checkChainNames } from './x509-constraints.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const from = new Date('2026-01-01T00:00:00Z');
const to = new Date('2036-01-01T00:00:00Z');

function certificate(more: {
  readonly altNames?: AltNames;
  readonly extensions?: readonly Extension[];
  readonly ca?: boolean;
}): Uint8Array {
  const subject = { commonName: 'x', organizations: [] };
  return new X509Certificate(issueCertificate({ subject, publicKey, notBefore: from, notAfter: to, ...more }, { key: privateKey })).raw;
}

interface Names {
  readonly dns?: readonly string[];
  readonly email?: readonly string[];
  readonly uri?: readonly string[];
  /** Address and mask. */
  readonly ip?: readonly (readonly number[])[];
  readonly directory?: boolean;
}

function constraints(permitted: Names, excluded: Names = {}, critical = true): Extension {
  const subtrees = (n: number, names: Names): Uint8Array[] => {
    const texts = (tag: number, list: readonly string[] = []) => list.map((text) => context(tag, false, Buffer.from(text)));
    const bases = [
      ...texts(1, names.email),
      ...texts(2, names.dns),
      ...texts(6, names.uri),
      ...(names.ip ?? []).map((bytes) => context(7, false, Uint8Array.from(bytes))),
      ...(names.directory === true ? [context(4, true, sequence())] : []),
    ];
    return bases.length === 0 ? [] : [context(n, true, ...bases.map((base) => sequence(base)))];
  };
  return { id: '2.5.29.30', critical, value: sequence(...subtrees(0, permitted), ...subtrees(1, excluded)) };
}

/** Undefined: the authority may sign; else why not. */
function refusal(altNames: Partial<AltNames>, extension: Extension): string | undefined {
  const chain = [certificate({ altNames: { ...noAltNames, ...altNames } }), certificate({ ca: true, extensions: [extension] })];
  try {
    checkChainNames(chain);
    return undefined;
  } catch (error) {
    return (error as Error).message.replace('x509: a root or intermediate certificate is not authorized to sign for this name: ', '');
  }
}

describe('an authority', () => {
  test.each<[Partial<AltNames>, Names, Names, string | undefined]>([
    [{ dns: ['a.example.com'] }, { dns: ['example.com'] }, {}, undefined],
    [{ dns: ['EXAMPLE.com'] }, { dns: ['example.com'] }, {}, undefined],
    [{ dns: ['example.com'] }, { dns: ['.example.com'] }, {}, 'DNS name "example.com" is not permitted by any constraint'],
    [{ dns: ['badexample.com'] }, { dns: ['example.com'] }, {}, 'DNS name "badexample.com" is not permitted by any constraint'],
    [{ dns: ['anything'] }, { dns: [''] }, {}, undefined],
    [{ dns: ['x.bad.test'] }, {}, { dns: ['bad.test'] }, 'DNS name "x.bad.test" is excluded by constraint "bad.test"'],
    [{ email: ['Joe@Example.com'] }, { email: ['example.com'] }, {}, undefined],
    [
      { email: ['joe@example.com'] },
      { email: ['jim@example.com'] },
      {},
      'email address "joe@example.com" is not permitted by any constraint',
    ],
    [{ uri: ['spiffe://example.com/a'] }, { uri: ['example.com'] }, {}, undefined],
    [
      { uri: ['https://10.0.0.1/a'] },
      { uri: ['example.com'] },
      {},
      'URI with IP ("https://10.0.0.1/a") cannot be matched against constraints',
    ],
    [{ ip: ['10.1.2.3'] }, { ip: [[10, 0, 0, 0, 255, 0, 0, 0]] }, {}, undefined],
    [{ ip: ['11.1.2.3'] }, { ip: [[10, 0, 0, 0, 255, 0, 0, 0]] }, {}, 'IP address "11.1.2.3" is not permitted by any constraint'],
    [{ ip: ['fd00::1'] }, { ip: [[10, 0, 0, 0, 255, 0, 0, 0]] }, {}, 'IP address "fd00::1" is not permitted by any constraint'],
    // Names of other kinds are not constrained, and a user need have none at all.
    [{ ip: ['10.1.2.3'] }, { dns: ['example.com'] }, {}, undefined],
    [{}, { dns: ['example.com'] }, {}, undefined],
  ])('may sign for %j where it is permitted %j and excluded %j: %s', (names, permitted, excluded, why) => {
    expect(refusal(names, constraints(permitted, excluded))).toBe(why);
  });

  test('whose critical constraints are of a kind that is not understood may sign nothing', () => {
    expect(refusal({}, constraints({ directory: true }))).toBe('x509: unhandled critical extension');
    expect(refusal({}, constraints({ directory: true }, {}, false))).toBeUndefined();
  });
});

test('a constraint counts for everything below, and not for the authority that has it', () => {
  const leaf = certificate({ altNames: { ...noAltNames, dns: ['bad.test'] } });
  const below = certificate({ ca: true });
  const above = certificate({
    ca: true,
    altNames: { ...noAltNames, dns: ['other.test'] },
    extensions: [constraints({ dns: ['good.test'] })],
  });
  expect(() => checkChainNames([leaf, below, above])).toThrow('DNS name "bad.test" is not permitted');
  expect(() => checkChainNames([below, above])).not.toThrow();
});

test('what is critical and not understood is refused in any certificate of a chain', () => {
  const odd = (critical: boolean): Uint8Array => certificate({ extensions: [{ id: '1.2.3.4', critical, value: sequence() }] });
  expect(() => checkChainNames([odd(true), certificate({ ca: true })])).toThrow('x509: unhandled critical extension');
  expect(() => checkChainNames([odd(false), certificate({ ca: true })])).not.toThrow();
});
