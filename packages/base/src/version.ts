/** Of every program of this checkout; the release changes it here and in package.json (a test compares them). */
export const version = '0.1.0'
