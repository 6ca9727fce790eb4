/** TokenReview and SelfSubjectReview. */
import type { TokenReview, UserInfo as UserInfoObject } from '#kube/generated/authentication-v1.ts';
import { selfSubjectReviews, tokenReviews } from '#kube/refs.ts';
import { badRequest } from '#kube/status-error.ts';
import type { ReviewDef, UserInfo } from '../contract.ts';
import { authenticateToken } from './authenticator.ts';
import { type TokenAuthenticator, withAuthenticatedGroup } from './types.ts';

export function userInfoObject(user: UserInfo): UserInfoObject {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...(user.extra === undefined || Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  };
}

/** pkg/registry/authentication/tokenreview/storage.go. */
export function tokenReview(tokens: readonly TokenAuthenticator[], audiences: readonly string[]): ReviewDef {
  return {
    resource: tokenReviews,
    handle: async (object, request) => {
      const { spec } = object as unknown as TokenReview;
      if (spec.token === '') throw badRequest('token is required for TokenReview in authentication');
      const wanted = spec.audiences === undefined || spec.audiences.length === 0 ? audiences : spec.audiences;
      let status: Record<string, unknown> = { authenticated: false, user: {} };
      try {
        const identity = await authenticateToken(tokens, spec.token, wanted, request.signal);
        if (identity !== undefined) {
          // A token that knows no audiences is good for the API server's own.
          const good = identity.audiences.length > 0 ? identity.audiences : wanted.filter((a) => audiences.includes(a));
          if (good.length > 0)
            status = { authenticated: true, user: userInfoObject(withAuthenticatedGroup(identity.user)), audiences: good };
          else
            status = {
              ...status,
              error: `token audiences ${JSON.stringify(audiences)} is invalid for the target audiences ${JSON.stringify(wanted)}`,
            };
        }
      } catch (error) {
        status = { ...status, error: error instanceof Error ? error.message : String(error) };
      }
      return { ...object, status };
    },
  };
}

export const selfSubjectReview: ReviewDef = {
  resource: selfSubjectReviews,
  handle: async (object, request) => await Promise.resolve({ ...object, status: { userInfo: userInfoObject(request.user) } }),
};
