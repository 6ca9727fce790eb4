/**
 * X.509 certificates and PKCS #10 requests: made, signed and read with node:crypto. docs/adr/x509-by-hand.md says why no
 * library does it.
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { formatIp, parseIp } from './cidr.ts';
import {
  bitBytes,
  bits,
  boolean,
  child,
  children,
  context,
  DerError,
  type DerNode,
  integer,
  octets,
  oid,
  oidText,
  readDer,
  sequence,
  set,
  stringText,
  tags,
  text,
  time,
} from './der.ts';
import { pemBlocks, pemText } from './pem.ts';

export interface DistinguishedName {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Other attributes by object identifier, in order. */
  readonly others?: readonly { readonly oid: string; readonly value: string }[];
}

export interface AltNames {
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
}

export const noAltNames: AltNames = { dns: [], ip: [], email: [], uri: [] };

/** Upstream's names (certificates/v1 KeyUsage), in the order of the bits of RFC 5280. */
const keyUsageBits = [
  'digital signature',
  'content commitment',
  'key encipherment',
  'data encipherment',
  'key agreement',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
] as const;

export type KeyUsageName = (typeof keyUsageBits)[number];

export const extendedUsages = {
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  any: '2.5.29.37.0',
} as const;

export type ExtendedUsageName = keyof typeof extendedUsages;

export interface CertificateOptions {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly ca?: boolean;
  /** For an authority: how many others may stand below it. */
  readonly pathLength?: number;
  readonly keyUsages?: readonly KeyUsageName[];
  readonly extendedUsages?: readonly ExtendedUsageName[];
  readonly altNames?: AltNames;
  /** Further ones. */
  readonly extensions?: readonly Extension[];
}

/** Whoever signs: a certificate (PEM) and its private key. Absent certificate: self-signed. */
export interface Signer {
  readonly key: KeyObject;
  readonly certPem?: string;
}

const attribute = { commonName: '2.5.4.3', organization: '2.5.4.10' } as const;
/** Object identifiers of extensions. */
export const extension = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  altName: '2.5.29.17',
  basic: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extended: '2.5.29.37',
} as const;
const extensionRequest = '1.2.840.113549.1.9.14';

const isPrintable = (s: string): boolean => /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(s);
const nameText = (s: string): Uint8Array => text(isPrintable(s) ? tags.printableString : tags.utf8String, s);

function encodeName(name: DistinguishedName): Uint8Array {
  const rdn = (type: string, value: string) => set(sequence(oid(type), nameText(value)));
  return sequence(
    ...name.organizations.map((o) => rdn(attribute.organization, o)),
    ...(name.others ?? []).map((o) => rdn(o.oid, o.value)),
    ...(name.commonName === '' ? [] : [rdn(attribute.commonName, name.commonName)]),
  );
}

/** Reads a Name; of several common names the last one counts, as in Go. */
export function decodeName(node: DerNode): DistinguishedName {
  let commonName = '';
  const organizations: string[] = [];
  const others: { oid: string; value: string }[] = [];
  for (const rdn of children(node)) {
    for (const pair of children(rdn)) {
      const type = oidText(child(pair, 0));
      const value = stringText(child(pair, 1));
      if (type === attribute.commonName) commonName = value;
      else if (type === attribute.organization) organizations.push(value);
      else others.push({ oid: type, value });
    }
  }
  return { commonName, organizations, others };
}

/** An address as its bytes. Throws RangeError for what is none. */
export function ipBytes(ip: string): Uint8Array {
  const parsed = parseIp(ip);
  if (parsed === undefined) throw new RangeError(`not an IP address: ${ip}`);
  const length = parsed.family === 4 ? 4 : 16;
  return Buffer.from(parsed.value.toString(16).padStart(length * 2, '0'), 'hex');
}

function encodeAltNames(names: AltNames): Uint8Array {
  const ia5 = (n: number) => (s: string) => context(n, false, Buffer.from(s, 'ascii'));
  return sequence(
    ...names.dns.map(ia5(2)),
    ...names.email.map(ia5(1)),
    ...names.ip.map((ip) => context(7, false, ipBytes(ip))),
    ...names.uri.map(ia5(6)),
  );
}

function decodeAltNames(node: DerNode): AltNames {
  const dns: string[] = [];
  const ip: string[] = [];
  const email: string[] = [];
  const uri: string[] = [];
  for (const name of children(node)) {
    const value = Buffer.from(name.content).toString('latin1');
    if (name.tag === 0x82) dns.push(value);
    else if (name.tag === 0x81) email.push(value);
    else if (name.tag === 0x86) uri.push(value);
    else if (name.tag === 0x87 && (name.content.length === 4 || name.content.length === 16))
      ip.push(formatIp(name.content.length === 4 ? 4 : 6, BigInt(`0x${Buffer.from(name.content).toString('hex')}`)));
  }
  return { dns, ip, email, uri };
}

function encodeKeyUsage(usages: readonly KeyUsageName[]): Uint8Array {
  let value = 0;
  let last = 0;
  for (const [i, name] of keyUsageBits.entries()) {
    if (!usages.includes(name)) continue;
    value |= 1 << (15 - i);
    last = i;
  }
  return last > 7 ? bits(Uint8Array.of(value >> 8, value & 0xff), 15 - last) : bits(Uint8Array.of(value >> 8), 7 - last);
}

const extensionOf = (id: string, critical: boolean, value: Uint8Array): Uint8Array =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));

const isEmpty = (n: AltNames): boolean => n.dns.length + n.ip.length + n.email.length + n.uri.length === 0;

/** What an extension request or a certificate says about use; critical flags as Go's x509.CreateCertificate sets them. */
function usageExtensions(o: Pick<CertificateOptions, 'keyUsages' | 'extendedUsages' | 'altNames'>): Uint8Array[] {
  const list: Uint8Array[] = [];
  if ((o.keyUsages ?? []).length > 0) list.push(extensionOf(extension.keyUsage, true, encodeKeyUsage(o.keyUsages ?? [])));
  if ((o.extendedUsages ?? []).length > 0)
    list.push(extensionOf(extension.extended, false, sequence(...(o.extendedUsages ?? []).map((u) => oid(extendedUsages[u])))));
  if (o.altNames !== undefined && !isEmpty(o.altNames)) list.push(extensionOf(extension.altName, false, encodeAltNames(o.altNames)));
  return list;
}

const spkiOf = (key: KeyObject): Uint8Array => key.export({ type: 'spki', format: 'der' });

/** RFC 5280's first method: SHA-1 over the key's bits. */
const keyId = (spki: Uint8Array): Uint8Array =>
  createHash('sha1')
    .update(bitBytes(child(readDer(spki), 1)))
    .digest();

const algorithms: Readonly<Record<string, { readonly hash: string | null; readonly nullParameter: boolean }>> = {
  '1.2.840.10045.4.3.2': { hash: 'sha256', nullParameter: false },
  '1.2.840.10045.4.3.3': { hash: 'sha384', nullParameter: false },
  '1.2.840.10045.4.3.4': { hash: 'sha512', nullParameter: false },
  '1.2.840.113549.1.1.11': { hash: 'sha256', nullParameter: true },
  '1.2.840.113549.1.1.12': { hash: 'sha384', nullParameter: true },
  '1.2.840.113549.1.1.13': { hash: 'sha512', nullParameter: true },
  '1.3.101.112': { hash: null, nullParameter: false },
};

/** The signature algorithm for a private key: ECDSA or RSA with SHA-256 (P-384 and P-521 with theirs), or Ed25519. */
function algorithmFor(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return '1.2.840.113549.1.1.11';
  if (key.asymmetricKeyType === 'ed25519') return '1.3.101.112';
  if (key.asymmetricKeyType !== 'ec') throw new TypeError(`cannot sign with a key of type ${key.asymmetricKeyType}`);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? '1.2.840.10045.4.3.3' : curve === 'secp521r1' ? '1.2.840.10045.4.3.4' : '1.2.840.10045.4.3.2';
}

function signed(body: Uint8Array, algorithmId: string, key: KeyObject): Uint8Array {
  const algorithm = algorithms[algorithmId];
  const identifier = sequence(oid(algorithmId), ...(algorithm?.nullParameter === true ? [Uint8Array.of(tags.null, 0)] : []));
  return sequence(body, identifier, bits(sign(algorithm?.hash ?? null, body, key)));
}

/** The parts of a certificate that issuing and identifying need. Throws DerError for what is no certificate. */
export function readCertificate(der: Uint8Array): {
  readonly subject: DistinguishedName;
  readonly rawSubject: Uint8Array;
  readonly altNames: AltNames;
  readonly spki: Uint8Array;
  /** How many authorities may stand below this one; absent for an authority without such a limit and for certificates of no authority. */
  readonly pathLength?: number;
} {
  const fields = children(child(readDer(der), 0, tags.sequence));
  const at = fields[0]?.tag === 0xa0 ? 1 : 0;
  const subject = fields[at + 4];
  const spki = fields[at + 5];
  if (subject === undefined || spki === undefined) throw new DerError('not a certificate');
  const wrapped = fields.find((f) => f.tag === 0xa3);
  const extensions = wrapped === undefined ? [] : children(child(wrapped, 0, tags.sequence));
  const pathLength = pathLengthOf(extensions);
  return {
    subject: decodeName(subject),
    rawSubject: subject.raw,
    spki: spki.raw,
    altNames: requestedNames(extensions),
    ...(pathLength === undefined ? {} : { pathLength }),
  };
}

export interface Extension {
  readonly id: string;
  readonly critical: boolean;
  /** The DER in it. */
  readonly value: Uint8Array;
}

/** The extensions of a certificate. Throws DerError for what is no certificate. */
export function extensionsOf(der: Uint8Array): readonly Extension[] {
  const wrapped = children(child(readDer(der), 0, tags.sequence)).find((f) => f.tag === 0xa3);
  if (wrapped === undefined) return [];
  return children(child(wrapped, 0, tags.sequence)).map((node) => {
    const [id, second, third] = children(node);
    const value = third ?? second;
    if (id === undefined || value === undefined) throw new DerError('not an extension');
    return { id: oidText(id), critical: third !== undefined && second?.content[0] !== 0, value: value.content };
  });
}

const extensionValue = (extensions: readonly DerNode[], id: string): DerNode | undefined => {
  const found = extensions.map((e) => children(e)).find((parts) => parts[0] !== undefined && oidText(parts[0]) === id);
  return found?.at(-1);
};

/** The pathLenConstraint of RFC 5280 4.2.1.9. */
function pathLengthOf(extensions: readonly DerNode[]): number | undefined {
  const value = extensionValue(extensions, extension.basic);
  const length = value === undefined ? undefined : children(readDer(value.content)).find((p) => p.tag === tags.integer);
  return length === undefined ? undefined : Number(`0x${Buffer.from(length.content).toString('hex')}`);
}

/** The first certificate of a PEM text. */
export function firstCertificate(pem: string): Uint8Array {
  const block = pemBlocks(pem).find((b) => b.label === 'CERTIFICATE');
  if (block === undefined) throw new DerError('no certificate in PEM text');
  return block.der;
}

const pathLengthNode = (length: number | undefined): readonly Uint8Array[] =>
  length === undefined ? [] : [integer(Uint8Array.of(length))];

/** Issues a certificate and returns it as PEM (without the issuer's). */
export function issueCertificate(options: CertificateOptions, signer: Signer): string {
  const spki = spkiOf(options.publicKey);
  const subject = encodeName(options.subject);
  const issuer = signer.certPem === undefined ? undefined : readCertificate(firstCertificate(signer.certPem));
  const algorithmId = algorithmFor(signer.key);
  const identifier = sequence(oid(algorithmId), ...(algorithms[algorithmId]?.nullParameter === true ? [Uint8Array.of(tags.null, 0)] : []));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const list = [
    ...usageExtensions(options),
    ...(options.extensions ?? []).map((e) => extensionOf(e.id, e.critical, e.value)),
    extensionOf(extension.basic, true, options.ca === true ? sequence(boolean(true), ...pathLengthNode(options.pathLength)) : sequence()),
    ...(options.ca === true ? [extensionOf(extension.subjectKeyId, false, octets(keyId(spki)))] : []),
    ...(issuer === undefined ? [] : [extensionOf(extension.authorityKeyId, false, sequence(context(0, false, keyId(issuer.spki))))]),
  ];
  const body = sequence(
    context(0, true, integer(Uint8Array.of(2))),
    integer(serial),
    identifier,
    issuer?.rawSubject ?? subject,
    sequence(time(options.notBefore), time(options.notAfter)),
    subject,
    spki,
    context(3, true, sequence(...list)),
  );
  return pemText('CERTIFICATE', signed(body, algorithmId, signer.key));
}

export interface CertificateRequest {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly altNames: AltNames;
}

/** A signed certificate request as PEM. */
export function createRequest(key: KeyObject, subject: DistinguishedName, altNames: AltNames = noAltNames): string {
  const wanted = usageExtensions({ altNames });
  const attributes = wanted.length === 0 ? [] : [sequence(oid(extensionRequest), set(sequence(...wanted)))];
  const body = sequence(integer(Uint8Array.of(0)), encodeName(subject), spkiOf(createPublicKey(key)), context(0, true, ...attributes));
  return pemText('CERTIFICATE REQUEST', signed(body, algorithmFor(key), key));
}

function requestedNames(extensions: readonly DerNode[]): AltNames {
  const value = extensionValue(extensions, extension.altName);
  return value === undefined ? noAltNames : decodeAltNames(readDer(value.content));
}

/**
 * Reads a certificate request, PEM or DER, and checks its signature. Throws an Error that says what is wrong: the
 * messages end in responses to clients.
 */
export function readRequest(request: string | Uint8Array): CertificateRequest {
  const looksPem = typeof request === 'string' ? request : Buffer.from(request).toString('latin1');
  const block = looksPem.includes('-----BEGIN') ? pemBlocks(looksPem)[0] : undefined;
  if (block === undefined && typeof request === 'string') throw new DerError('PEM block type must be CERTIFICATE REQUEST');
  if (block !== undefined && block.label !== 'CERTIFICATE REQUEST') throw new DerError('PEM block type must be CERTIFICATE REQUEST');
  const root = readDer(block?.der ?? (request as Uint8Array));
  const info = child(root, 0, tags.sequence);
  const [, subject, spki, attributes] = children(info);
  if (subject === undefined || spki === undefined) throw new DerError('not a certificate request');
  const publicKey = createPublicKey({ key: Buffer.from(spki.raw), format: 'der', type: 'spki' });
  const algorithm = algorithms[oidText(child(child(root, 1), 0))];
  if (algorithm === undefined) throw new DerError('unsupported signature algorithm');
  if (!verify(algorithm.hash, info.raw, publicKey, bitBytes(child(root, 2)))) throw new DerError('signature does not match');
  const wanted = (attributes === undefined ? [] : children(attributes)).find((a) => oidText(child(a, 0)) === extensionRequest);
  const extensions = wanted === undefined ? [] : children(child(child(wanted, 1, tags.set), 0, tags.sequence));
  return { subject: decodeName(subject), publicKey, altNames: requestedNames(extensions) };
}
