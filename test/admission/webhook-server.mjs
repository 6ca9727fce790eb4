/** A webhook server: what it answers depends on the path. Its key, its certificate, its address and its port are the arguments. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [key, cert, host, port] = process.argv.slice(2);

const patch = (operations) => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

const answers = {
  '/label': ({ object }) =>
    patch(
      [
        object.metadata.labels === undefined ? { op: 'add', path: '/metadata/labels', value: {} } : undefined,
        { op: 'add', path: '/metadata/labels/hook', value: 'seen' },
      ].filter((o) => o !== undefined),
    ),
  '/deny': ({ object }) => ({
    allowed: object.metadata.labels?.deny !== 'yes',
    warnings: object.metadata.labels?.warn === undefined ? [] : [`be careful with ${object.metadata.labels.warn}`],
    status: { code: 403, reason: 'Forbidden', message: 'labelled deny=yes' },
  }),
};

createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const answer = answers[new URL(request.url, 'https://hook').pathname];
    // Whoever asks for anything else waits in vain.
    if (answer === undefined) return;
    const { request: asked } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: asked.uid, ...answer(asked) } }),
    );
  });
}).listen(Number(port), host, () => console.log('listening'));
