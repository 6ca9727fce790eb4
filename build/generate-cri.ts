/**
 * Makes src/kubelet/cri/generated/ from build/facts/cri-v1.tsv, the table of every CRI rpc, message field and number:
 *
 *   cri.json   a protobufjs descriptor of the package runtime.v1
 *   cri.ts     one TypeScript interface for each message as it is decoded, and the two services as types
 *
 * Run by `npm run generate`; does nothing when its inputs have not changed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const table = join(root, 'build/facts/cri-v1.tsv');
const out = join(root, 'src/kubelet/cri/generated');

interface Field {
  readonly name: string;
  readonly rule: 'one' | 'repeated' | 'map';
  readonly type: string;
  readonly id: number;
}

interface Tables {
  readonly messages: Map<string, Field[]>;
  readonly enums: Map<string, Map<string, number>>;
  readonly rpcs: { readonly service: string; readonly name: string; readonly request: string; readonly response: string }[];
}

const camel = (name: string): string => name.replaceAll(/_([a-zA-Z0-9])/g, (_, c: string) => c.toUpperCase());

function parseField(name: string, type: string, id: number): Field {
  const map = /^map<string, ?(\w+)>$/.exec(type);
  if (map !== null) return { name: camel(name), rule: 'map', type: map[1] ?? '', id };
  if (type.startsWith('repeated ')) return { name: camel(name), rule: 'repeated', type: type.slice('repeated '.length), id };
  return { name: camel(name), rule: 'one', type, id };
}

function readTables(): Tables {
  const tables: Tables = { messages: new Map(), enums: new Map(), rpcs: [] };
  for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
    const [kind = '', owner = '', name = '', type = '', last = ''] = line.split('\t');
    if (kind === 'rpc') tables.rpcs.push({ service: owner, name, request: type, response: last });
    else if (kind === 'message') tables.messages.set(owner, []);
    else if (kind === 'enum') tables.enums.set(owner, (tables.enums.get(owner) ?? new Map<string, number>()).set(name, Number(last)));
    else if (kind === 'field') {
      const fields = tables.messages.get(owner) ?? [];
      fields.push(parseField(name, type, Number(last)));
      tables.messages.set(owner, fields);
    }
  }
  return tables;
}

function descriptor({ messages, enums, rpcs }: Tables): unknown {
  const nested: Record<string, unknown> = {};
  for (const [name, values] of enums) nested[name] = { values: Object.fromEntries(values) };
  for (const [name, fields] of messages) {
    nested[name] = {
      fields: Object.fromEntries(
        fields.map((f) => [
          f.name,
          {
            type: f.type,
            id: f.id,
            ...(f.rule === 'repeated' ? { rule: 'repeated' } : {}),
            ...(f.rule === 'map' ? { keyType: 'string' } : {}),
          },
        ]),
      ),
    };
  }
  for (const service of new Set(rpcs.map((r) => r.service))) {
    const methods = rpcs
      .filter((r) => r.service === service)
      .map((r) => {
        const stream = r.response.startsWith('stream ');
        return [
          r.name,
          { requestType: r.request, responseType: r.response.replace('stream ', ''), ...(stream ? { responseStream: true } : {}) },
        ];
      });
    nested[service] = { methods: Object.fromEntries(methods) };
  }
  return { options: { syntax: 'proto3' }, nested: { runtime: { nested: { v1: { nested } } } } };
}

const scalars: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
  uint32: 'number',
  uint64: 'number',
  bytes: 'Buffer',
};

function typescript({ messages, enums, rpcs }: Tables): string {
  const lines = ['// Made by build/generate-cri.ts.'];
  for (const [name, values] of enums) lines.push(`export type ${name} = ${[...values.keys()].map((v) => `'${v}'`).join(' | ')};`);
  for (const [name, fields] of messages) {
    const body = fields.map((f) => {
      const type = scalars[f.type] ?? f.type;
      if (f.rule === 'map') return `  readonly ${f.name}: { readonly [key: string]: ${type} };`;
      if (f.rule === 'repeated') return `  readonly ${f.name}: readonly ${type}[];`;
      return `  readonly ${f.name}: ${type}${messages.has(f.type) ? ' | null' : ''};`;
    });
    lines.push(
      body.length === 0 ? `export type ${name} = Readonly<Record<never, never>>;` : `export interface ${name} {\n${body.join('\n')}\n}`,
    );
  }
  for (const service of new Set(rpcs.map((r) => r.service))) {
    lines.push(`export interface ${service} {`);
    for (const r of rpcs) {
      if (r.service !== service || r.response.startsWith('stream ')) continue;
      lines.push(`  readonly ${r.name}: { readonly request: ${r.request}; readonly response: ${r.response} };`);
    }
    lines.push('}');
  }
  return `${lines.join('\n')}\n`;
}

const stamp = join(out, '.fingerprint');
const print = createHash('sha256')
  .update(readFileSync(table))
  .update(readFileSync(import.meta.filename))
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== print) {
  const tables = readTables();
  // Answers without fields are not in the table.
  for (const rpc of tables.rpcs) {
    for (const name of [rpc.request, rpc.response.replace('stream ', '')]) if (!tables.messages.has(name)) tables.messages.set(name, []);
  }
  // Windows messages that the table leaves out are not spoken here.
  for (const [name, fields] of tables.messages) {
    const known = fields.filter((f) => f.type in scalars || tables.messages.has(f.type) || tables.enums.has(f.type));
    tables.messages.set(name, known);
  }
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'cri.json'), JSON.stringify(descriptor(tables)));
  writeFileSync(join(out, 'cri.ts'), typescript(tables));
  writeFileSync(stamp, print);
}
