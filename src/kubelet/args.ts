/** Settings from `--kubelet-arg name=value`: the upstream kubelet's flags that mean something here. */

export interface KubeletSettings {
  readonly maxPods: number;
  readonly resolvConf: string | undefined;
  readonly imageGcHigh: number;
  readonly imageGcLow: number;
  readonly logMaxBytes: number;
  readonly logMaxFiles: number;
  readonly reserved: Readonly<Record<string, string>>;
}

interface Flag {
  readonly name: string;
  readonly check: (value: string) => string | undefined;
}

const integer = (value: string): string | undefined => (/^\d+$/.test(value) ? undefined : 'must be a whole number');
const percent = (value: string): string | undefined =>
  /^\d+$/.test(value) && Number(value) <= 100 ? undefined : 'must be between 0 and 100';
const pairs = (value: string): string | undefined =>
  value.split(',').every((p) => /^[\w.-]+=[^=]+$/.test(p)) ? undefined : 'must be name=amount pairs';
const size = (value: string): string | undefined => (/^\d+(Ki|Mi|Gi)?$/.test(value) ? undefined : 'must be a size such as 10Mi');

export const kubeletFlags: readonly Flag[] = [
  { name: 'max-pods', check: integer },
  { name: 'resolv-conf', check: () => undefined },
  { name: 'image-gc-high-threshold', check: percent },
  { name: 'image-gc-low-threshold', check: percent },
  { name: 'container-log-max-size', check: size },
  { name: 'container-log-max-files', check: integer },
  { name: 'system-reserved', check: pairs },
  { name: 'kube-reserved', check: pairs },
];

const units: Readonly<Record<string, number>> = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };
const bytesOf = (value: string): number => {
  const match = /^(\d+)(Ki|Mi|Gi)?$/.exec(value);
  return Number(match?.[1] ?? 0) * (units[match?.[2] ?? ''] ?? 1);
};

/** Reads "name=value" arguments, with or without leading dashes. Throws for unknown names and bad values, saying which. */
export function parseKubeletArgs(args: readonly string[]): KubeletSettings {
  const values = new Map<string, string>();
  for (const arg of args) {
    const [, name = '', value = ''] = /^(?:--)?([^=]+)=(.*)$/.exec(arg) ?? [];
    const flag = kubeletFlags.find((f) => f.name === name);
    if (flag === undefined)
      throw new Error(`kubelet-arg "${arg}": unknown setting; known are ${kubeletFlags.map((f) => f.name).join(', ')}`);
    const problem = flag.check(value);
    if (problem !== undefined) throw new Error(`kubelet-arg "${arg}": ${problem}`);
    values.set(name, value);
  }
  const number = (name: string, fallback: number): number => Number(values.get(name) ?? fallback);
  const reserved: Record<string, string> = {};
  for (const name of ['system-reserved', 'kube-reserved']) {
    for (const pair of (values.get(name) ?? '').split(',').filter((p) => p !== '')) {
      const [key = '', value = ''] = pair.split('=');
      reserved[`${name}/${key}`] = value;
    }
  }
  return {
    maxPods: number('max-pods', 110),
    resolvConf: values.get('resolv-conf'),
    imageGcHigh: number('image-gc-high-threshold', 85),
    imageGcLow: number('image-gc-low-threshold', 80),
    logMaxBytes: bytesOf(values.get('container-log-max-size') ?? '10Mi'),
    logMaxFiles: number('container-log-max-files', 5),
    reserved,
  };
}
