import type { Taint, Toleration } from './generated/core-v1.ts';

/** k8s.io/component-helpers: an empty key with Exists tolerates everything; an empty effect, every effect. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if ((toleration.effect ?? '') !== '' && toleration.effect !== taint.effect) return false;
  if ((toleration.key ?? '') !== '' && toleration.key !== taint.key) return false;
  switch (toleration.operator ?? '') {
    case '':
    case 'Equal':
      return (toleration.key ?? '') !== '' && (toleration.value ?? '') === (taint.value ?? '');
    case 'Exists':
      return true;
    case 'Gt':
      return number(taint.value) > number(toleration.value);
    case 'Lt':
      return number(taint.value) < number(toleration.value);
    default:
      return false;
  }
}

const number = (text: string | undefined): number => (/^-?\d+$/.test(text ?? '') ? Number(text) : Number.NaN);

/** The first taint with one of the effects that no toleration covers. */
export function untolerated(
  taints: readonly Taint[],
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return taints.find((taint) => effects.includes(taint.effect) && !(tolerations ?? []).some((t) => tolerates(t, taint)));
}
