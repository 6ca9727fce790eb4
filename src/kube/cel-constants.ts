/** Durations, times and regular expressions that are written out are checked with the expression (cel-go cel/validator.go). */
import { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { actual, type CelNode, callOf, type ExpressionError, findNode } from './cel-ast.ts';

const reader = new Environment().registerVariable('text', 'string');
const durations = reader.parse('duration(text)');
const times = reader.parse('timestamp(text)');

/** What reads a constant argument, which throws where it is wrong, and which argument it is; the receiver is the first. */
const readers: Readonly<Record<string, readonly [number, (text: string) => unknown]>> = {
  duration: [0, (text) => durations({ text }) as unknown],
  timestamp: [0, (text) => times({ text }) as unknown],
  matches: [1, (text) => RE2JS.compile(text)],
};
const held = /\b(?:duration|timestamp|matches)\b/;

/** The argument of a call that is wrong, and what is. */
function wrongArgument(node: CelNode): { readonly arg: CelNode; readonly message: string } | undefined {
  const call = callOf(node);
  const found = call !== undefined && Object.hasOwn(readers, call.name) ? readers[call.name] : undefined;
  if (call === undefined || found === undefined) return undefined;
  const [position, read] = found;
  const arg = call.args[position];
  const value = arg === undefined ? undefined : actual(arg);
  if (arg === undefined || value?.op !== 'value' || typeof value.args !== 'string') return undefined;
  try {
    read(value.args);
    return undefined;
  } catch {
    return { arg, message: `invalid ${call.name} argument` };
  }
}

/** What is wrong with a constant in a checked expression. */
export function constantError(root: CelNode, expression: string): ExpressionError | undefined {
  if (!held.test(expression)) return undefined;
  let wrong: ReturnType<typeof wrongArgument>;
  findNode(root, (node) => {
    wrong = wrongArgument(node);
    return wrong !== undefined;
  });
  return wrong === undefined ? undefined : { message: wrong.message, range: { start: wrong.arg.pos ?? 0 } };
}
