import type { PodInfo } from './framework.ts';

/** Pods for which preemption has made room, and where: they have not been bound yet. */
export class Nominator {
  readonly #nodeOf = new Map<string, string>();
  readonly #onNode = new Map<string, Map<string, PodInfo>>();

  add(pod: PodInfo, node: string): void {
    this.remove(pod.uid);
    this.#nodeOf.set(pod.uid, node);
    let pods = this.#onNode.get(node);
    if (pods === undefined) {
      pods = new Map();
      this.#onNode.set(node, pods);
    }
    pods.set(pod.uid, pod);
  }

  remove(uid: string): void {
    const node = this.#nodeOf.get(uid);
    if (node === undefined) return;
    this.#nodeOf.delete(uid);
    const pods = this.#onNode.get(node);
    pods?.delete(uid);
    if (pods?.size === 0) this.#onNode.delete(node);
  }

  on(node: string): readonly PodInfo[] {
    const pods = this.#onNode.get(node);
    return pods === undefined ? [] : [...pods.values()];
  }
}
