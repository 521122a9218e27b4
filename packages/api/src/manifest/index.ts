export { formatManifest } from './format-manifest.ts'
export {
  formatManifestProblem,
  parseManifests,
  type ManifestDocument,
  type ParsedManifests,
  type ParseManifestsOptions,
} from './parse-manifests.ts'
export type { ManifestProblem } from './read-document.ts'
export { manifestJsonSchema } from './schema.ts'
