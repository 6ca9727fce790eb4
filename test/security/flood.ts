/** Many requests at once with one token: prints how many got which status, and a header of those that were refused. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';

const [url = '', caFile = '', token = '', count = '200'] = process.argv.slice(2);
const agent = new Agent({ ca: readFileSync(caFile), maxSockets: Number(count) });

const ask = (): Promise<string> =>
  new Promise((resolve) => {
    const asked = request(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      response.on('end', () => resolve(`${response.statusCode} retry-after=${response.headers['retry-after'] ?? ''}`));
    });
    asked.on('error', (error) => resolve(error.message));
    asked.end();
  });

const counts = new Map<string, number>();
for (const status of await Promise.all(Array.from({ length: Number(count) }, ask))) counts.set(status, (counts.get(status) ?? 0) + 1);
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
agent.destroy();
