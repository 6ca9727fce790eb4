/** Creation of kinds that are answered and never stored: SubjectAccessReview, TokenReview and their kin. */
import type { KubeObject } from '#kube/object.ts';
import { invalid, StatusError } from '#kube/status-error.ts';
import { readDraft } from './codec.ts';
import type { ApiResponse, ReviewDef } from './contract.ts';
import { strategyContext, type VerbRequest } from './core.ts';
import { matchNamespace } from './meta.ts';
import { parseWriteParameters } from './options.ts';
import { bindFromCollection } from './subresources/binding.ts';
import { admissionRequest } from './verbs/write.ts';

/** Throws StatusError, NotFound where nobody answers the kind. */
export async function createReview(r: VerbRequest, reviews: readonly ReviewDef[]): Promise<ApiResponse> {
  const { def } = r.resource;
  const { group, plural } = def.ref;
  if (group === '' && plural === 'bindings') return await bindFromCollection(r);
  const review = reviews.find((v) => v.resource.group === group && v.resource.plural === plural);
  if (review === undefined) throw new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
  const parameters = parseWriteParameters(r.request.query, 'CreateOptions');
  const draft = readDraft(def, r.request, parameters.fieldValidation, r.warnings);
  matchNamespace(def, draft, r.info.namespace);
  const at = { namespace: r.info.namespace, name: draft.metadata.name ?? '', dryRun: parameters.dryRun };
  const admission = admissionRequest(r, 'CREATE', at, draft, undefined);
  await r.core.admission.admit(admission);
  const errors = def.validate?.(draft as unknown as KubeObject, strategyContext(r.core, r.request, r.info)) ?? [];
  if (errors.length > 0) throw invalid(def.ref, '', errors);
  await r.core.admission.validate(admission);
  return { type: 'object', status: 201, object: await review.handle(draft, r.request, r.info.namespace) };
}
