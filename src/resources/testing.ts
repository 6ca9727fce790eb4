/** What tests of kinds share. */
import { decodeObject } from '#kube/decode.ts';
import type { Draft, KindDef, StrategyContext } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { FieldError } from '#kube/status-error.ts';
import { builtinKinds } from './index.ts';

export const testContext: StrategyContext = {
  user: { name: 'alice', groups: ['system:authenticated'] },
  now: new Date('2026-01-02T03:04:05Z'),
  namespace: 'default',
  subresource: '',
};

/** The built-in kind of that name; `version` where there are two. */
export function kindNamed(kind: string, group?: string, version?: string): KindDef {
  const found = builtinKinds.find(
    (k) => k.ref.kind === kind && (group === undefined || k.ref.group === group) && (version === undefined || k.ref.version === version),
  );
  if (found === undefined) throw new Error(`no kind ${kind}`);
  return found;
}

/** An object decoded and defaulted. */
export function defaulted(kind: KindDef, value: unknown): Draft {
  const { object } = decodeObject(kind, value);
  kind.defaults?.(object);
  return object;
}

/** An object as the strategy of a kind makes it on creation. */
export function created(kind: KindDef, value: unknown): Draft {
  const object = defaulted(kind, value);
  kind.prepareForCreate?.(object, testContext);
  return object;
}

const meta = { name: 'x', namespace: 'default', uid: 'u' };
const lines = (errors: readonly FieldError[] | undefined): string[] => (errors ?? []).map((e) => `${e.field}: ${e.message}`);
const whole = (fields: object): object => ({ metadata: meta, ...fields });

/** What creation of an object called x is refused with. */
export function createProblems(kind: string, fields: object): string[] {
  const def = kindNamed(kind);
  return lines(def.validate?.(created(def, whole(fields)) as unknown as KubeObject, testContext));
}

/** What the update of an object called x is refused with. */
export function updateProblems(kind: string, now: object, was: object): string[] {
  const def = kindNamed(kind);
  const make = (fields: object): KubeObject => defaulted(def, whole(fields)) as unknown as KubeObject;
  return lines((def.validateUpdate ?? def.validate)?.(make(now), make(was) as never, testContext));
}

/** What the update of the status of an object called x is refused with. */
export function statusProblems(kind: string, now: object, was: object): string[] {
  const def = kindNamed(kind);
  const make = (fields: object): KubeObject => defaulted(def, whole(fields)) as unknown as KubeObject;
  return lines(def.validateStatusUpdate?.(make(now), make(was), testContext));
}

/** What the update of an object called x by one of its subresources is refused with. */
export function partProblems(kind: string, subresource: string, now: object, was: object): string[] {
  const def = kindNamed(kind);
  const make = (fields: object): KubeObject => defaulted(def, whole(fields)) as unknown as KubeObject;
  return lines(def.validateParts?.[subresource]?.(make(now), make(was), testContext));
}
