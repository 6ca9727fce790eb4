/** What the thread of yaml-reader.ts does. */
import { parentPort } from 'node:worker_threads';
import { BodySyntaxError, parseBody } from '#kube/parse-body.ts';
import type { YamlAnswer } from './yaml-reader.ts';

function read(body: Uint8Array): YamlAnswer {
  try {
    const { value, duplicates } = parseBody(body, 'yaml', true);
    return { json: Buffer.from(JSON.stringify(value)), duplicates };
  } catch (error) {
    if (error instanceof BodySyntaxError) return { problem: error.message };
    throw error;
  }
}

/** Answers each body that the other side sends. */
export function runYamlThread(): void {
  parentPort?.on('message', (body: Uint8Array) => {
    const answer = read(body);
    // Long text is in a buffer of its own, which is handed over.
    const whole = 'json' in answer && answer.json.byteLength === answer.json.buffer.byteLength;
    parentPort?.postMessage(answer, whole ? [answer.json.buffer as ArrayBuffer] : []);
  });
}
