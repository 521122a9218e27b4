export {
  authorizeCall,
  authorizeMessage,
  callersOf,
  type AccessVerdict,
  type AuthenticationProblem,
  type CalledMethod,
  type Caller,
} from './authorization.ts'
export { readCaFiles, storeCaFiles, type CaFiles } from './ca-directory.ts'
export {
  openCertificateAuthority,
  type CertificateAuthority,
  type CertificateAuthorityDeps,
  type CertificateAuthorityOptions,
  type IssuedCertificate,
  type IssueRequest,
} from './certificate-authority.ts'
export {
  checkCredentials,
  loadCredentials,
  loadPendingEnrolment,
  saveCredentials,
  savePendingEnrolment,
  setCredentialsAside,
  type Credentials,
  type LoadedCredentials,
  type PendingEnrolment,
} from './credentials.ts'
export { fetchCaCertificate, type FetchCaOptions } from './fetch-ca.ts'
export {
  decodeJoinToken,
  signJoinToken,
  verifyJoinToken,
  type JoinTokenClaims,
  type JoinTokenVerdict,
} from './join-token.ts'
export { createCsr, createKey } from './key-and-csr.ts'
export { identifyPeer, type MemberIdentity, type PeerIdentity } from './peer.ts'
export { planRenewal, type RenewalInput, type RenewalPlan } from './rotation.ts'
export type { IdentityType } from './spiffe-id.ts'
export { coordinatorServerName, tlsClientOptions, type TlsClientOptions } from './tls-client.ts'
export { syncDirectorySync } from './sync-directory.ts'
export { createTrustAnchor, type TrustAnchor } from './trust-anchor.ts'
