/** The release of Kubernetes whose API is served and whose behaviour is followed, as clients and people see it. */
export const minorVersion = 36;
export const gitVersion = `v1.${minorVersion}.0+k3ts1`;
