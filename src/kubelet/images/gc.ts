/** Frees disk space by removing images that no container uses: pkg/kubelet/images image_gc_manager.go. */
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Cri } from '../cri/client.ts';
import { diskUse } from '../node/machine.ts';

export interface ImageGcOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Logger;
  /** On the filesystem that holds the images. */
  readonly path: string;
  /** Percent of the disk in use above which images go, and down to which. */
  readonly high: number;
  readonly low: number;
  /** Names of images that never go. */
  readonly keep: readonly string[];
}

/** Images in use, or to be kept, by id. */
async function usedImages(cri: Cri): Promise<ReadonlySet<string>> {
  const { containers } = await cri.listContainers({});
  return new Set(containers.flatMap((c) => [c.imageRef, c.image?.image ?? '']));
}

/** Removes unused images, the largest first, until enough is free. Gives the bytes freed. */
export async function collectImages(options: ImageGcOptions): Promise<number> {
  const { cri, log } = options;
  const disk = await diskUse(options.path);
  const usedPercent = 100 * (1 - disk.availableBytes / disk.capacityBytes);
  if (usedPercent < options.high) return 0;
  const wanted = disk.capacityBytes * (1 - options.low / 100) - disk.availableBytes;
  const used = await usedImages(cri);
  const { images } = await cri.listImages({});
  let freed = 0;
  for (const image of [...images].sort((a, b) => b.size - a.size)) {
    if (freed >= wanted) break;
    const names = [image.id, ...image.repoTags, ...image.repoDigests];
    if (image.pinned || names.some((n) => used.has(n) || options.keep.includes(n))) continue;
    log.info('removing an unused image, because the disk fills up', { image: image.repoTags[0] ?? image.id, bytes: image.size });
    await cri.removeImage({ image: { image: image.id } });
    freed += image.size;
  }
  return freed;
}
