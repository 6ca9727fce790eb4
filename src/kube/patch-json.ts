/**
 * JSON patch (RFC 6902) with the behaviour of evanphx/json-patch v4, which kube-apiserver uses: negative array indexes count
 * from the end, `test` of null passes for a missing key, the empty path may only be replaced or tested.
 */
import { exceedsDepth, isArray, isObject, type JsonObject, jsonCopy, jsonEqual, jsonTypeName, own, put } from './json-value.ts';
import { badRequest, StatusError } from './status-error.ts';

export const maxJsonPatchOperations = 10_000;
/** What `copy` operations of one patch may add together (kube-apiserver's JSONPatchMaxCopyBytes). */
const maxCopyBytes = 3 * 1024 * 1024;
const maxDepth = 1000;

/** The cause of a patch that is refused because one of its `test` operations does not hold. */
export class JsonPatchTestFailed extends Error {}

/** Upstream tells the client no more than this about a JSON patch that does not apply; the cause is kept for the log. */
function rejected(why: string | Error): StatusError {
  return new StatusError('Invalid', 'the server rejected our request due to an error in our request', {
    details: {},
    cause: typeof why === 'string' ? new Error(why) : why,
  });
}

interface Context {
  /** Containers made by this patch: they may be changed in place. */
  readonly mine: WeakSet<object>;
  copied: number;
}

interface Holder {
  root: unknown;
}

type Container = JsonObject | unknown[];
const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

/** The container itself if this patch made it, else a shallow copy that is from now on its own. */
function writable(context: Context, value: Container): Container {
  if (context.mine.has(value)) return value;
  const copy: Container = isArray(value) ? [...value] : { ...value };
  context.mine.add(copy);
  return copy;
}

function indexOf(key: string, length: number): number {
  if (!/^[+-]?[0-9]{1,15}$/.test(key)) throw rejected(`invalid array index ${JSON.stringify(key)}`);
  const index = Number(key);
  const actual = index < 0 ? index + length : index;
  if (actual < 0 || actual >= length) throw rejected(`Unable to access invalid index: ${key}`);
  return actual;
}

/** The child, or throws where it is missing. */
function child(container: Container, key: string): unknown {
  if (isArray(container)) return container[indexOf(key, container.length)];
  if (!Object.hasOwn(container, key)) throw rejected(`unable to get nonexistent key: ${key}`);
  return own(container, key);
}

function assign(container: Container, key: string, value: unknown): void {
  if (isArray(container)) container[indexOf(key, container.length)] = value;
  else put(container, key, value);
}

const segments = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'));

/** The container that holds the last segment of a path, made writable all the way down. */
function open(context: Context, holder: Holder, path: string): { container: Container; key: string } {
  const parts = segments(path);
  const key = parts.pop();
  if (key === undefined || !isContainer(holder.root)) throw rejected(`doc is missing path: ${JSON.stringify(path)}`);
  let at = writable(context, holder.root);
  holder.root = at;
  for (const part of parts) {
    const next = child(at, part);
    if (!isContainer(next)) throw rejected(`doc is missing path: ${JSON.stringify(path)}`);
    const copy = writable(context, next);
    if (copy !== next) assign(at, part, copy);
    at = copy;
  }
  return { container: at, key };
}

function read(holder: Holder, path: string): { found: boolean; value: unknown } {
  const parts = segments(path);
  const key = parts.pop();
  if (key === undefined) throw rejected(`doc is missing path: ${JSON.stringify(path)}`);
  let at = holder.root;
  for (const part of parts) {
    if (!isContainer(at)) throw rejected(`doc is missing path: ${JSON.stringify(path)}`);
    at = child(at, part);
  }
  if (!isContainer(at)) throw rejected(`doc is missing path: ${JSON.stringify(path)}`);
  if (isArray(at)) return { found: true, value: at[indexOf(key, at.length)] };
  return { found: Object.hasOwn(at, key), value: own(at, key) };
}

function add(context: Context, holder: Holder, path: string, value: unknown): void {
  const { container, key } = open(context, holder, path);
  if (!isArray(container)) put(container, key, value);
  else if (key === '-') container.push(value);
  else container.splice(indexOf(key, container.length + 1), 0, value);
}

function remove(context: Context, holder: Holder, path: string): unknown {
  const { container, key } = open(context, holder, path);
  const value = child(container, key);
  if (isArray(container)) container.splice(indexOf(key, container.length), 1);
  else delete container[key];
  return value;
}

function replace(context: Context, holder: Holder, path: string, value: unknown): void {
  if (path === '') {
    if (!isContainer(value)) throw rejected('replace operation value must be object or array');
    holder.root = value;
    return;
  }
  const { container, key } = open(context, holder, path);
  child(container, key);
  assign(container, key, value);
}

function testValue(holder: Holder, path: string, value: unknown): void {
  const actual = path === '' ? { found: true, value: holder.root } : read(holder, path);
  if (!jsonEqual(actual.value ?? null, value ?? null)) throw rejected(new JsonPatchTestFailed(`testing value ${path} failed`));
}

function copy(context: Context, holder: Holder, from: string, path: string): void {
  const source = read(holder, from);
  if (!source.found) throw rejected(`doc is missing from path: ${from}`);
  if (exceedsDepth(source.value, maxDepth)) throw rejected('the copied value is too deep');
  context.copied += Buffer.byteLength(JSON.stringify(source.value) ?? '', 'utf8');
  if (context.copied > maxCopyBytes) {
    throw rejected(
      `Unable to complete the copy, the accumulated size increase of copy is ${context.copied}, exceeding the limit ${maxCopyBytes}`,
    );
  }
  add(context, holder, path, jsonCopy(source.value));
}

function applyOperation(context: Context, holder: Holder, operation: JsonObject): void {
  const text = (name: string): string => {
    const value = own(operation, name);
    if (typeof value !== 'string') throw rejected(`operation, missing ${name} field`);
    return value;
  };
  const value = own(operation, 'value') ?? null;
  const op = own(operation, 'op');
  switch (op) {
    case 'add':
      add(context, holder, text('path'), value);
      return;
    case 'remove':
      remove(context, holder, text('path'));
      return;
    case 'replace':
      replace(context, holder, text('path'), value);
      return;
    case 'move':
      add(context, holder, text('path'), remove(context, holder, text('from')));
      return;
    case 'test':
      testValue(holder, text('path'), value);
      return;
    case 'copy':
      copy(context, holder, text('from'), text('path'));
      return;
    default:
      throw rejected(`Unexpected kind: ${JSON.stringify(op)}`);
  }
}

/**
 * Applies a JSON patch. Neither argument is changed; the result may share parts with both.
 * Throws StatusError: BadRequest for what is no patch, RequestEntityTooLarge for too many operations, Invalid for a patch
 * that does not apply.
 */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!isArray(patch)) throw badRequest(`json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type jsonpatch.Patch`);
  if (patch.length > maxJsonPatchOperations) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxJsonPatchOperations}, got ${patch.length}`,
    );
  }
  const context: Context = { mine: new WeakSet(), copied: 0 };
  const holder: Holder = { root: document };
  for (const operation of patch) {
    if (!isObject(operation)) {
      throw badRequest(`json: cannot unmarshal ${jsonTypeName(operation)} into Go value of type jsonpatch.Operation`);
    }
    applyOperation(context, holder, operation);
  }
  if (exceedsDepth(holder.root, maxDepth)) throw rejected('the patched object is too deep');
  return holder.root;
}
