/** Which names an authority may sign for: RFC 5280 4.2.1.10, as Go's crypto/x509 has it. */
import { children, type DerNode, readDer } from './der.ts';
import { type AltNames, extension, extensionsOf, ipBytes, readCertificate } from './x509.ts';

/** Extensions that a certificate may be marked critical for: those that Go's crypto/x509 handles. */
const handled = new Set([
  '2.5.29.14',
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.30',
  '2.5.29.31',
  '2.5.29.32',
  '2.5.29.33',
  '2.5.29.35',
  '2.5.29.36',
  '2.5.29.37',
  '2.5.29.54',
  '1.3.6.1.5.5.7.1.1',
]);

interface Network {
  readonly address: Uint8Array;
  readonly mask: Uint8Array;
}

/** One kind of name: domains, addresses of mail, hosts of URIs as text, networks. */
interface Subtrees {
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly ip: readonly Network[];
}

interface Constraints {
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
  /** There are constraints on names of kinds that are not looked at. */
  readonly others: boolean;
}

const generalName = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const;
const none: Subtrees = { dns: [], email: [], uri: [], ip: [] };

function subtreesOf(node: DerNode | undefined): { readonly trees: Subtrees; readonly others: boolean } {
  if (node === undefined) return { trees: none, others: false };
  const bases = children(node).map((tree) => children(tree)[0]);
  const of = (tag: number): Uint8Array[] => bases.filter((b) => b?.tag === tag).map((b) => b?.content ?? new Uint8Array());
  const texts = (tag: number): string[] => of(tag).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const known: readonly number[] = Object.values(generalName);
  const ip = of(generalName.ip).map((bytes) => ({ address: bytes.subarray(0, bytes.length / 2), mask: bytes.subarray(bytes.length / 2) }));
  return {
    trees: { dns: texts(generalName.dns), email: texts(generalName.email), uri: texts(generalName.uri), ip },
    others: bases.some((b) => b === undefined || !known.includes(b.tag)),
  };
}

function constraintsOf(value: Uint8Array): Constraints {
  const parts = children(readDer(value));
  const permitted = subtreesOf(parts.find((p) => p.tag === 0xa0));
  const excluded = subtreesOf(parts.find((p) => p.tag === 0xa1));
  return { permitted: permitted.trees, excluded: excluded.trees, others: permitted.others || excluded.others };
}

/** Whether a domain is a constraint's or below it; below it only where the constraint begins with a dot. */
function domainMatches(domain: string, constraint: string): boolean {
  if (constraint === '') return true;
  const below = constraint.startsWith('.');
  const base = (below ? constraint.slice(1) : constraint).toLowerCase();
  const name = domain.toLowerCase();
  return (!below && name === base) || name.endsWith(`.${base}`);
}

function mailMatches(address: string, constraint: string): boolean {
  const at = address.lastIndexOf('@');
  const [local, domain] = [address.slice(0, Math.max(at, 0)), address.slice(at + 1)];
  if (!constraint.includes('@')) return domainMatches(domain, constraint);
  const split = constraint.lastIndexOf('@');
  return local === constraint.slice(0, split) && domain.toLowerCase() === constraint.slice(split + 1).toLowerCase();
}

/** The host of a URI. Throws an Error for one that has none, or an address. */
function hostOf(uri: string): string {
  const host = URL.canParse(uri) ? new URL(uri).hostname : '';
  if (host === '') throw new Error(`URI with empty host (${JSON.stringify(uri)}) cannot be matched against constraints`);
  if (/^\[|^[\d.]+$/.test(host)) throw new Error(`URI with IP (${JSON.stringify(uri)}) cannot be matched against constraints`);
  return host;
}

const inNetwork = (address: Uint8Array, { address: base, mask }: Network): boolean =>
  address.length === base.length && address.every((byte, i) => (byte & (mask[i] ?? 0)) === ((base[i] ?? 0) & (mask[i] ?? 0)));

const shownNetwork = ({ address, mask }: Network): string => `${[...address].join('.')}/${[...mask].join('.')}`;

/** Why one name may not be signed for. */
function refusal<C>(
  what: string,
  name: string,
  sets: { readonly permitted: readonly C[]; readonly excluded: readonly C[] },
  matches: (constraint: C) => boolean,
  shown: (constraint: C) => string,
): string | undefined {
  const bad = sets.excluded.find(matches);
  if (bad !== undefined) return `${what} ${JSON.stringify(name)} is excluded by constraint ${JSON.stringify(shown(bad))}`;
  if (sets.permitted.length === 0 || sets.permitted.some(matches)) return undefined;
  return `${what} ${JSON.stringify(name)} is not permitted by any constraint`;
}

function namesRefusal(names: AltNames, { permitted, excluded }: Constraints): string | undefined {
  const text = (constraint: string): string => constraint;
  const of = <K extends keyof Subtrees>(kind: K) => ({ permitted: permitted[kind], excluded: excluded[kind] });
  const constrained = permitted.uri.length + excluded.uri.length > 0;
  const found = [
    ...names.email.map((n) => refusal('email address', n, of('email'), (c) => mailMatches(n, c), text)),
    ...names.dns.map((n) => refusal('DNS name', n, of('dns'), (c) => domainMatches(n, c), text)),
    ...names.uri.map((n) => {
      const host = constrained ? hostOf(n) : '';
      return refusal('URI', n, of('uri'), (c) => domainMatches(host, c), text);
    }),
    ...names.ip.map((n) => refusal('IP address', n, of('ip'), (c) => inNetwork(ipBytes(n), c), shownNetwork)),
  ];
  return found.find((why) => why !== undefined);
}

const unhandled = (): Error => new Error('x509: unhandled critical extension');

/**
 * Throws an Error with Go's text where an authority of a chain may not sign for a name of a certificate below it, or where a certificate
 * has something critical about it that is not understood. DER, the lowest first.
 */
export function checkChainNames(chain: readonly Uint8Array[]): void {
  for (const [i, der] of chain.entries())
    for (const { id, critical, value } of extensionsOf(der)) {
      if (critical && !handled.has(id)) throw unhandled();
      if (id !== extension.nameConstraints) continue;
      const constraints = constraintsOf(value);
      if (critical && constraints.others) throw unhandled();
      for (const below of chain.slice(0, i)) {
        let why: string | undefined;
        try {
          why = namesRefusal(readCertificate(below).altNames, constraints);
        } catch (error) {
          why = error instanceof Error ? error.message : String(error);
        }
        if (why !== undefined) throw new Error(`x509: a root or intermediate certificate is not authorized to sign for this name: ${why}`);
      }
    }
}
