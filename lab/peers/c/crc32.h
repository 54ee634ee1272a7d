/*
 * CRC-32 (IEEE, reflected), by carry-less multiplication where the processor
 * has it, else by tables of eight.
 *
 * Folding after Gopal et al., "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ" (Intel, 2009); the constants are x^n mod P, bit-reflected.
 */
#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t crc_table[8][256];

/* crc32_init fills the tables; call it before threads start. */
static void crc32_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
		crc_table[0][i] = c;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
}

static uint32_t crc_by_table(uint32_t c, const uint8_t *p, size_t n)
{
	for (; n >= 8; p += 8, n -= 8) {
		uint32_t lo, hi;
		memcpy(&lo, p, 4);
		memcpy(&hi, p + 4, 4);
		lo ^= c;
		c = crc_table[7][lo & 0xff] ^ crc_table[6][lo >> 8 & 0xff] ^ crc_table[5][lo >> 16 & 0xff] ^
		    crc_table[4][lo >> 24] ^ crc_table[3][hi & 0xff] ^ crc_table[2][hi >> 8 & 0xff] ^
		    crc_table[1][hi >> 16 & 0xff] ^ crc_table[0][hi >> 24];
	}
	for (; n; p++, n--)
		c = c >> 8 ^ crc_table[0][(c ^ *p) & 0xff];
	return c;
}

#if defined(__x86_64__)
/* crc_fold moves 128 bits forward by the distance of k and adds what lies there. */
__attribute__((target("pclmul,sse4.1")))
static inline __m128i crc_fold(__m128i x, __m128i k, __m128i there)
{
	__m128i lo = _mm_clmulepi64_si128(x, k, 0x00), hi = _mm_clmulepi64_si128(x, k, 0x11);
	return _mm_xor_si128(_mm_xor_si128(lo, hi), there);
}

/* crc_by_folding: n is a multiple of 16 and at least 64. */
__attribute__((target("pclmul,sse4.1")))
static uint32_t crc_by_folding(uint32_t c, const uint8_t *p, size_t n)
{
	const __m128i by64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
	const __m128i by16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
	const __m128i *q = (const __m128i *)p;
	__m128i a[4];
	for (int i = 0; i < 4; i++)
		a[i] = _mm_loadu_si128(q + i);
	a[0] = _mm_xor_si128(a[0], _mm_cvtsi32_si128((int)c));
	for (n -= 64, q += 4; n >= 64; n -= 64, q += 4)
		for (int i = 0; i < 4; i++)
			a[i] = crc_fold(a[i], by64, _mm_loadu_si128(q + i));
	for (int i = 1; i < 4; i++)
		a[0] = crc_fold(a[0], by16, a[i]);
	for (; n; n -= 16, q++)
		a[0] = crc_fold(a[0], by16, _mm_loadu_si128(q));
	/* The 128 bits left stand for the whole: their own CRC is the answer. */
	uint8_t rest[16];
	_mm_storeu_si128((__m128i *)rest, a[0]);
	return crc_by_table(0, rest, 16);
}
#endif

static uint32_t crc32_ieee(const uint8_t *p, size_t n)
{
	uint32_t c = UINT32_MAX;
#if defined(__x86_64__)
	if (n >= 64 && __builtin_cpu_supports("pclmul")) {
		size_t fold = n & ~(size_t)15;
		c = crc_by_folding(c, p, fold);
		p += fold;
		n -= fold;
	}
#endif
	return ~crc_by_table(c, p, n);
}

#endif
