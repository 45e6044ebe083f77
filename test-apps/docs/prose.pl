#!/usr/bin/perl
#
# prose.pl - the words of documents, for a spelling checker: without code, names
# and links; each line begins with its place
#
# usage: prose.pl DOCUMENT...
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;

binmode STDOUT, ':encoding(UTF-8)';
for my $file (@ARGV) {
	local $/;
	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
	my $text = <$in>;

	# blocks, comments, code, where links go, tags: all but their lines
	for my $what (qr/^\s*```.*?^\s*```/ms, qr/<!--.*?-->/s,
		      qr/``.*?``|`[^`\n]*(?:\n[^`\n]+)?`/s, qr/\]\([^)]*\)/,
		      qr/<[^>\n]*(?:\n[^>\n]*)?>/) {
		$text =~ s/($what)/' ' . $1 =~ tr,\n,,cdr/ge;
	}
	# what has a digit, an underscore, a dot or a slash in it, and NAMES
	$text =~ s{[\w.+/-]*[\w][_./\d][\w.+/-]*\w}{ }g;
	$text =~ s/\b[[:upper:]\d]{2,}(?:s|'s)?\b/ /g;

	my $line = 0;
	for (split /\n/, $text) {
		$line++;
		print "$file:$line: $_\n" for /[[:alpha:]]+(?:'[[:alpha:]]+)?/g;
	}
}
