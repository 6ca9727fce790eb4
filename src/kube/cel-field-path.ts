/** The fieldPath of a validation rule: a JSON path of fields and map keys, such as `.spec.x` or `['a.b'].c`. */
import type { Schema } from './schema.ts';

export interface ParsedFieldPath {
  readonly steps: readonly string[];
  /** What is put behind the path of the rule's own field in an error. */
  readonly text: string;
}

const step = /\.([A-Za-z_][A-Za-z0-9_-]*)|\['((?:[^'\\]|\\.)*)'\]/y;

/** Undefined for what is no such path. Lists cannot be stepped into. */
export function parseFieldPath(path: string): ParsedFieldPath | undefined {
  const steps: string[] = [];
  let text = '';
  let at = 0;
  while (at < path.length) {
    step.lastIndex = at;
    const m = step.exec(path);
    if (m === null) return undefined;
    at = step.lastIndex;
    const name = m[1] ?? (m[2] ?? '').replaceAll(/\\(.)/g, '$1');
    steps.push(name);
    text += /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) ? `.${name}` : `[${name}]`;
  }
  return steps.length === 0 ? undefined : { steps, text };
}

/** The schema that a path leads to; undefined where it leads nowhere. */
export function schemaAtPath(schema: Schema, path: ParsedFieldPath, resolve: (ref: string) => Schema): Schema | undefined {
  let at: Schema | undefined = schema;
  for (const name of path.steps) {
    if (at === undefined) return undefined;
    const target: Schema = at.ref === undefined ? at : resolve(at.ref);
    const declared = target.properties !== undefined && Object.hasOwn(target.properties, name) ? target.properties[name] : undefined;
    at = declared ?? (typeof target.additionalProperties === 'object' ? target.additionalProperties : undefined);
  }
  return at;
}
