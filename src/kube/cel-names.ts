/**
 * Names of functions that the CEL library has otherwise than Kubernetes, or that Kubernetes does not have. Ours stand in the library's
 * tables under names that no expression can hold, and expressions are changed to these before they are checked.
 */

const mark = '_';
const methods = new Set(['matches', 'indexOf', 'lastIndexOf', 'lowerAscii', 'upperAscii', 'substring', 'split', 'trim']);
const functions = new Set(['int', 'uint']);
/** Methods of the library that Kubernetes' CEL lacks. */
const lacking = new Set(['hex', 'json', 'base64', 'string', 'at']);

/** The name of our form of a function. */
export const ours = (name: string): string => `${name}${mark}`;

/** Texts about functions, with the names that expressions have for them. */
export const plainNames = (text: string): string => text.replaceAll(/\b([A-Za-z]+)_(?=\()/g, '$1');

/** The name that an expression has for what a node calls. */
export const plainName = (name: string): string =>
  name.endsWith(mark) && (methods.has(name.slice(0, -1)) || functions.has(name.slice(0, -1))) ? name.slice(0, -1) : name;

/** Whether an expression may hold such names: most do not, and need not be looked through. */
const held = new RegExp(`\\b(?:${[...methods, ...functions, ...lacking, 'bind', 'has'].join('|')})\\b|_\\(`);
export const mayHoldNames = (expression: string): boolean => held.test(expression);

/** What a name is read from, and put into. */
interface Named {
  readonly op: string;
  readonly args: unknown;
}

const isBind = (name: string, receiver: Named): boolean => name === 'bind' && receiver.op === 'id' && receiver.args === 'cel';

/** Changes the name of what a node calls; gives the name that Kubernetes does not know, where it is none. */
export function rename(node: Named): string | undefined {
  const call = node.args as unknown[];
  const name = node.op === 'call' || node.op === 'rcall' ? (call[0] as string) : '';
  if (node.op === 'rcall') {
    if (lacking.has(name) || name.endsWith(mark)) return name;
    if (isBind(name, call[1] as Named)) return 'cel';
    if (methods.has(name)) call[0] = ours(name);
  } else if (node.op === 'call') {
    if (name.endsWith(mark)) return name;
    if (functions.has(name)) call[0] = ours(name);
  }
  return undefined;
}
