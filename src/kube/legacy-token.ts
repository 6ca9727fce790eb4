/** How the use of service-account tokens that never expire is tracked (pkg/serviceaccount/legacy.go, pkg/controlplane/controller/legacytokentracking). */

/** Label of a token's Secret: the day on which it was used last. */
export const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
/** Label of a token's Secret: the day since which it is no longer good. */
export const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';
/** The ConfigMap in kube-system that says, under this key, since which day use is tracked. */
export const trackingConfigMap = 'kube-apiserver-legacy-service-account-token-tracking';
export const trackedSinceKey = 'since';

export const accountNameAnnotation = 'kubernetes.io/service-account.name';
export const accountUidAnnotation = 'kubernetes.io/service-account.uid';
export const accountTokenType = 'kubernetes.io/service-account-token';

/** As 2006-01-02. */
export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The beginning of a day in milliseconds since the epoch; undefined for what is no day. */
export function parseDay(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || dayOf(ms) !== text ? undefined : ms;
}
