/** Loads the X.509 library when it is first needed: a process that only dials pays neither its time nor its memory. */
import type * as x509 from '@peculiar/x509'

export type X509Library = typeof x509

/** The signature algorithm of every key here. */
export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

export async function loadX509(): Promise<X509Library> {
  // The library's dependency injection reads metadata that this one defines: the order matters.
  await import('reflect-metadata')
  return import('@peculiar/x509')
}
