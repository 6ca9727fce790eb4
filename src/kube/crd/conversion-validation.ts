/** How a definition converts between its versions: validateCustomResourceConversion of pkg/apis/apiextensions/validation. */
import type { CustomResourceConversion, WebhookConversion } from '../generated/apiextensions-v1.ts';
import { isDns1035Label } from '../names.ts';
import type { FieldError } from '../status-error.ts';
import { fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '../validation/field-error.ts';
import { oneOf } from '../validation/values.ts';
import { caBundleProblem, webhookService, webhookUrl } from '../validation/webhook-client.ts';

const strategies = ['None', 'Webhook'];
/** The versions of ConversionReview that this server speaks. */
const knownReviews = ['v1', 'v1beta1'];

/** What a definition that is in use may keep although a new one may not say it. */
export interface ConversionTolerance {
  readonly unknownReviews: boolean;
  readonly badCaBundle: boolean;
}

export function conversionErrors(
  conversion: CustomResourceConversion | undefined,
  field: string,
  tolerance: ConversionTolerance,
): FieldError[] {
  if (conversion === undefined) return [];
  const errors = oneOf(`${field}.strategy`, conversion.strategy, strategies);
  const { clientConfig, conversionReviewVersions: reviews = [] } = conversion.webhook ?? { clientConfig: undefined };
  const client = `${field}.webhookClientConfig`;
  if (conversion.strategy !== 'Webhook') {
    const unused = 'should not be set when strategy is not set to Webhook';
    if (clientConfig !== undefined) errors.push(fieldForbidden(client, unused));
    if (reviews.length > 0) errors.push(fieldForbidden(`${field}.conversionReviewVersions`, unused));
    return errors;
  }
  if (clientConfig === undefined) errors.push(fieldRequired(client, 'required when strategy is set to Webhook'));
  else errors.push(...clientErrors(clientConfig, client, tolerance.badCaBundle));
  return [...errors, ...reviewErrors(reviews, `${field}.conversionReviewVersions`, tolerance.unknownReviews)];
}

/** True when none or at least one of the versions is known. */
export const hasKnownReview = (webhook: WebhookConversion | undefined): boolean => {
  const versions = webhook?.conversionReviewVersions ?? [];
  return versions.length === 0 || versions.some((v) => knownReviews.includes(v));
};

function reviewErrors(versions: readonly string[], field: string, mayBeUnknown: boolean): FieldError[] {
  if (versions.length === 0) return [fieldRequired(field)];
  const errors = versions.flatMap((v, i) =>
    versions.indexOf(v) === i
      ? fieldProblems(`${field}[${i}]`, v, isDns1035Label(v))
      : [fieldInvalid(`${field}[${i}]`, v, 'duplicate version')],
  );
  if (!mayBeUnknown && !versions.some((v) => knownReviews.includes(v)))
    errors.push(fieldInvalid(field, versions, `must include at least one of ${knownReviews.join(', ')}`));
  return errors;
}

type ClientConfig = NonNullable<WebhookConversion['clientConfig']>;

function clientErrors(config: ClientConfig, field: string, mayBeBad: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if ((config.url === undefined) === (config.service === undefined))
    errors.push(fieldRequired(field, 'exactly one of url or service is required'));
  else if (config.url !== undefined) errors.push(...webhookUrl(`${field}.url`, config.url));
  else if (config.service !== undefined) errors.push(...webhookService(`${field}.service`, config.service));
  const { caBundle = '' } = config;
  const problem = caBundle === '' || mayBeBad ? undefined : caBundleProblem(caBundle);
  if (problem !== undefined) errors.push(fieldInvalid(`${field}.caBundle`, caBundle, problem));
  return errors;
}
