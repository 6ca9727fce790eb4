/** PEM text (RFC 7468). */

export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
  /** The block's own text, with a newline at its end. */
  readonly text: string;
}

export function pemText(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Every block in a text, in order; what stands between blocks is skipped. */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  for (const m of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\s]*?)-----END \1-----/g)) {
    const [whole, label = '', body = ''] = m;
    blocks.push({ label, der: Buffer.from(body, 'base64'), text: `${whole}\n` });
  }
  return blocks;
}
