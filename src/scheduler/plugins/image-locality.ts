import type { Plugin } from '../framework.ts';
import { maxScore } from '../framework.ts';

const mebibyte = 1024 * 1024;
const smallest = 23 * mebibyte;
const largestPerContainer = 1000 * mebibyte;

/** An image name as nodes report it: with a tag. */
function normalized(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}

/** Prefers nodes that already have the pod's images, the larger the better, damped for images that few nodes have. */
export const imageLocality: Plugin = {
  name: 'ImageLocality',
  prepareScore: (pod, view) => {
    const spec = pod.pod.spec;
    const images = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map((c) => normalized(c.image ?? ''));
    const total = view.nodes.length;
    const most = largestPerContainer * images.length;
    return {
      score: (node) => {
        const sum = images.reduce((s, i) => s + Math.trunc(((node.images.get(i) ?? 0) * view.imageSpread(i)) / total), 0);
        return Math.trunc((maxScore * (Math.min(Math.max(sum, smallest), most) - smallest)) / (most - smallest));
      },
    };
  },
  wakesOn: () => false,
};
