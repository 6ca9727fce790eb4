/** Label and field selectors of lists and watches as one test on entries. */
import type { KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { exactFieldValue, matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from '#kube/selector.ts';
import { badRequest } from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import { viewOf } from '../view.ts';

export interface Selection {
  /** True when everything matches: then no entry is parsed. */
  readonly all: boolean;
  readonly matches: (entry: CachedEntry) => boolean;
  /** The one name that metadata.name=… asks for. */
  readonly name: string | undefined;
}

/** Throws StatusError BadRequest for selectors that cannot be parsed or fields that the kind does not select by. */
export function selectionOf(def: KindDef, labelSelector: string, fieldSelector: string, name = ''): Selection {
  const labels = parseLabelSelector(labelSelector);
  const fields = [...parseFieldSelector(fieldSelector)];
  if (name !== '') fields.push({ field: 'metadata.name', operator: '=', value: name });
  for (const { field } of fields)
    if (field !== 'metadata.name' && !isSelectable(def, field)) throw badRequest(unsupportedField(def, field));
  const view = viewOf(def);
  const fieldOf = (object: Stored) => (field: string) => {
    if (field === 'metadata.name') return object.metadata.name;
    if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
    return def.selectableFields?.[field]?.(object);
  };
  const exact = exactFieldValue(fields, 'metadata.name');
  return {
    all: labels.length === 0 && fields.length === 0,
    name: exact,
    matches: (entry) => {
      // Told from the key, so that entries of other names are not parsed.
      if (exact !== undefined && !entry.key.endsWith(`/${exact}`)) return false;
      const object = view.object(entry);
      return matchesLabels(labels, object.metadata.labels) && matchesFields(fields, fieldOf(object));
    },
  };
}

/** Kinds that select by nothing of their own say which fields there are (apimachinery's DefaultMetaV1FieldSelectorConversion). */
const unsupportedField = (def: KindDef, field: string): string =>
  def.selectableFields === undefined && def.schema.custom !== true
    ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
    : `field label not supported: ${field}`;

function isSelectable(def: KindDef, field: string): boolean {
  if (field === 'metadata.namespace') return true;
  return def.selectableFields !== undefined && Object.hasOwn(def.selectableFields, field);
}
