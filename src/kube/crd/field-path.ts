/** Paths that lead to one field of a schema: ValidFieldPath of k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel. */
import type { JSONSchemaProps } from '../generated/apiextensions-v1.ts';
import { isObject, own } from '../json-value.ts';

export type FieldPath = { readonly schema: JSONSchemaProps | undefined; readonly steps: readonly string[] } | { readonly problem: string };

const noField = 'does not refer to a valid field';
const token = /'(?:[^'\\]|\\.)*'|[.[\]]|[^.[\]']+|'.*/y;

function tokensOf(path: string): string[] {
  const found: string[] = [];
  token.lastIndex = 0;
  for (let m = token.exec(path); m !== null; m = token.exec(path)) found.push(m[0]);
  return found;
}

/** The schema that a step leads to, or undefined where it leads nowhere. */
function below(schema: JSONSchemaProps | undefined, name: string): { readonly schema: JSONSchemaProps | undefined } | undefined {
  const { properties, additionalProperties } = schema ?? {};
  if (properties !== undefined && Object.keys(properties).length > 0) {
    const property = own(properties, name) as JSONSchemaProps | undefined;
    return property === undefined ? undefined : { schema: property };
  }
  if (isObject(additionalProperties)) return { schema: additionalProperties as JSONSchemaProps };
  return additionalProperties === undefined ? undefined : { schema: undefined };
}

/** Reads `.spec.x` or `['a.b'].c`; `brackets`: whether the second form may be used. */
export function fieldPath(path: string, root: JSONSchemaProps | undefined, brackets: boolean): FieldPath {
  const tokens = tokensOf(path);
  const steps: string[] = [];
  let schema = root;
  for (let i = 0; i < tokens.length; ) {
    const first = tokens[i++];
    let name = tokens[i++];
    if (first === '[' && !brackets) return { problem: 'array notation is not allowed' };
    if (first !== '[' && first !== '.') return { problem: `expected [ or . but got: ${first ?? ''}` };
    if (name === undefined) return { problem: 'unexpected end of JSON path' };
    if (first === '[') {
      if (name.length < 2 || !name.startsWith("'") || !name.endsWith("'"))
        return { problem: `expected single quoted string but got ${name}` };
      name = name.slice(1, -1).replaceAll(/\\(.)/g, '$1');
    }
    const found = below(schema, name);
    if (found === undefined) return { problem: noField };
    schema = found.schema;
    steps.push(name);
    if (first !== '[') continue;
    const end = tokens[i++];
    if (end !== ']') return { problem: end === undefined ? 'unexpected end of JSON path' : `expected ] but got ${end}` };
  }
  return { schema, steps };
}
