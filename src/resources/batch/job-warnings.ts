/** Warnings about jobs: pkg/api/job/warnings.go. */
import type { JobSpec } from '#kube/generated/batch-v1.ts';
import { podWarnings } from '../core/pod-warnings.ts';

const many = { completions: 100_000, parallelism: 10_000 };

/** Warnings about the spec of a job at a path. */
export function jobWarnings(field: string, spec: JobSpec | undefined): string[] {
  const { completions = 0, parallelism = 0, completionMode } = spec ?? {};
  const untracked = completionMode === 'Indexed' && completions > many.completions && parallelism > many.parallelism;
  const warning =
    'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail';
  return [...(untracked ? [`${field}: ${warning}`] : []), ...podWarnings(`${field}.template`, spec?.template)];
}
