/**
 * The image of the process that holds a pod's namespaces, made on the spot from a static program, so that a node needs
 * no registry to run its first pod. An OCI image layout in a tar file: what `ctr images import` reads.
 */
import { createHash } from 'node:crypto';
import { tar } from './tar.ts';

export const pauseImage = 'k3ts.io/pause:1';

export interface ImageArchive {
  readonly bytes: Buffer;
  /** sha256:… of the configuration, which is the image id that the CRI shows. */
  readonly id: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** `program` is a static executable that, run with `-P`, waits and reaps (catatonit). `architecture` is Go's name. */
export function pauseArchive(program: Uint8Array, architecture: string): ImageArchive {
  const layer = tar([{ name: 'pause', mode: 0o755, content: program }]);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config: { Entrypoint: ['/pause', '-P'], User: '65535:65535' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    }),
  );
  const descriptor = (mediaType: string, bytes: Buffer): object => ({ mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {
          ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
          annotations: { 'io.containerd.image.name': pauseImage, 'org.opencontainers.image.ref.name': '1' },
          platform: { architecture, os: 'linux' },
        },
      ],
    }),
  );
  const blob = (content: Buffer) => ({ name: `blobs/sha256/${sha256(content)}`, mode: 0o644, content });
  const bytes = tar([
    { name: 'oci-layout', mode: 0o644, content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: 'index.json', mode: 0o644, content: index },
    blob(manifest),
    blob(config),
    blob(layer),
  ]);
  return { bytes, id: `sha256:${sha256(config)}` };
}
