import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';

/** A subresource as the router and discovery see it. */
export interface Subresource {
  readonly name: string;
  /** The kind that discovery shows. */
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly verbs: readonly string[];
  readonly handle: (r: VerbRequest) => Promise<ApiResponse>;
}
