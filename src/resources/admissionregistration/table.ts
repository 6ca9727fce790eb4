import type { TableDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';

interface Configuration extends KubeObject {
  readonly webhooks?: readonly unknown[];
}

export const webhooksTable: TableDef<Configuration> = {
  columns: [nameColumn, column('Webhooks', 'The number of webhooks in this configuration.', 'integer'), ageColumn],
  cells: (object, now) => [object.metadata.name ?? '', object.webhooks?.length ?? 0, ageOf(object, now)],
};

interface ParamKind {
  readonly apiVersion?: string;
  readonly kind?: string;
}

interface Policy extends KubeObject {
  readonly spec?: { readonly paramKind?: ParamKind; readonly validations?: readonly unknown[]; readonly mutations?: readonly unknown[] };
}

/** The table of ValidatingAdmissionPolicy and MutatingAdmissionPolicy. */
export const policyTable = (what: 'Validations' | 'Mutations'): TableDef<Policy> => ({
  columns: [
    nameColumn,
    column(what, `The number of ${what.toLowerCase()} in the policy.`, 'integer'),
    column('ParamKind', 'The kind of the parameters.'),
    ageColumn,
  ],
  cells: (object, now) => {
    const { spec } = object;
    const count = (what === 'Validations' ? spec?.validations : spec?.mutations)?.length ?? 0;
    const kind = spec?.paramKind;
    const param = kind === undefined ? '<unset>' : `${kind.apiVersion}/${kind.kind}`;
    return [object.metadata.name ?? '', count, param, ageOf(object, now)];
  },
});

interface Binding extends KubeObject {
  readonly spec?: { readonly policyName?: string; readonly paramRef?: { readonly name?: string; readonly namespace?: string } };
}

export const policyBindingTable: TableDef<Binding> = {
  columns: [
    nameColumn,
    column('PolicyName', 'The policy that is bound.'),
    column('ParamRef', 'The parameters that the policy gets.'),
    ageColumn,
  ],
  cells: (object, now) => {
    const ref = object.spec?.paramRef;
    const named = ref?.name === undefined ? '*' : ref.name;
    const param = ref === undefined ? '<unset>' : ref.namespace === undefined ? named : `${ref.namespace}/${named}`;
    return [object.metadata.name ?? '', object.spec?.policyName ?? '', param, ageOf(object, now)];
  },
};
