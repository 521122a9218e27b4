import { ImageSchema } from '@cloudless/api'
import { age, bytes } from './format.ts'
import type { Resource } from './resource.ts'

export const imageResource: Resource<typeof ImageSchema> = {
  singular: 'image',
  plural: 'images',
  schema: ImageSchema,
  nameOf: (image) => image.name,
  columns: [
    { title: 'IMAGE', value: (image) => image.name },
    { title: 'DIGEST', value: (image) => image.digest.slice(0, 19) },
    { title: 'SIZE', value: (image) => bytes(image.bytes) },
    { title: 'AGE', value: (image, nowMs) => age(image.createdAtMs, nowMs) },
  ],
}
