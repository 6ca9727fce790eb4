/** Conflicts of server-side apply, with upstream's texts (managedfields/internal/conflict.go). */
import type { Manager } from './apply-managers.ts';
import { type FieldSet, formatFieldPath, pathsOf } from './apply-set.ts';
import { StatusError } from './status-error.ts';

export interface Conflict {
  readonly manager: Manager;
  readonly path: readonly string[];
}

/** One conflict for each path that a manager would lose. */
export const conflictsOf = (manager: Manager, lost: FieldSet): Conflict[] => pathsOf(lost).map((path) => ({ manager, path }));

function describe(m: Manager): string {
  const name = JSON.stringify(m.manager);
  const text = m.subresource === '' ? name : `${name} with subresource ${JSON.stringify(m.subresource)}`;
  return m.operation === 'Update' ? `${text} using ${m.apiVersion}` : text;
}

/** 409 that lists who owns what. */
export function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map((c) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${describe(c.manager)}`,
    field: formatFieldPath(c.path),
  }));
  return new StatusError('Conflict', message(conflicts), { details: { causes } });
}

function message(conflicts: readonly Conflict[]): string {
  const [only] = conflicts;
  if (only !== undefined && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${describe(only.manager)}: ${formatFieldPath(only.path)}`;
  }
  const byManager = new Map<string, string[]>();
  for (const c of conflicts) {
    const key = describe(c.manager);
    const paths = byManager.get(key);
    if (paths === undefined) byManager.set(key, [formatFieldPath(c.path)]);
    else paths.push(formatFieldPath(c.path));
  }
  const lines = [...byManager.keys()].sort().map((key) => [`conflicts with ${key}:`, ...(byManager.get(key) ?? []).map((p) => `- ${p}`)]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.flat().join('\n')}`;
}
