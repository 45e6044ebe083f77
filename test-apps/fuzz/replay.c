/*
 * lws-threadpool fuzz - inputs of a fuzzer, once each, without libFuzzer
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-replay-api FILE..., lwstp-replay-names FILE...
 *
 * For any compiler, and for valgrind.
 */

#include <stdint.h>
#include <stdio.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

static int
replay(const char *path)
{
	uint8_t data[4096];
	size_t size;
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), f);
	fclose(f);

	return LLVMFuzzerTestOneInput(data, size);
}

int
main(int argc, char **argv)
{
	int n;

	LLVMFuzzerInitialize(&argc, &argv);
	for (n = 1; n < argc; n++)
		if (replay(argv[n]))
			return 1;
	printf("%d inputs\n", argc - 1);

	return argc < 2;
}
