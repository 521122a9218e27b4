/** What may be called what: DNS-1123 labels and subdomains (SPEC 22). */

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

export const labelLengthMax = 63
export const subdomainLengthMax = 253

/** Undefined when `text` is a DNS-1123 label; otherwise what is wrong with it. */
export function problemWithLabel(text: string): string | undefined {
  if (text === '') return 'must not be empty'
  if (text.length > labelLengthMax) return `must have at most ${labelLengthMax} characters`
  if (!label.test(text)) {
    return 'must consist of lower-case letters, digits and "-", and start and end with a letter or digit'
  }
  return undefined
}

/** Undefined when `text` is a DNS-1123 subdomain: labels joined by dots, 253 characters at most. */
export function problemWithSubdomain(text: string): string | undefined {
  if (text === '') return 'must not be empty'
  if (text.length > subdomainLengthMax) {
    return `must have at most ${subdomainLengthMax} characters`
  }
  if (!text.split('.').every((part) => label.test(part))) {
    return (
      'must consist of lower-case letters, digits, "-" and ".", ' +
      'and each part between dots must start and end with a letter or digit'
    )
  }
  return undefined
}
