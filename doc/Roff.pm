# Text of doc comments and of Markdown as roff, for doc/make-man.
#
# SPDX-License-Identifier: MIT

package Roff;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(plain code bold inline fill sentences block section tagged
	markdown);
our $is_page = sub { 0 };	# whether a function has a page

# Characters as roff has them.
sub plain {
	my ($text) = @_;

	$text =~ s/\\/\\e/g;
	$text =~ s/-(?=[-\d><]|\w*=)|(?<=-)-/\\-/g;
	$text =~ s/([^\x00-\x7f])/sprintf '\\[u%04X]', ord $1/ge;
	return $text;
}

sub code { return plain($_[0]) =~ s/(?<!\\)-/\\-/gr =~ s/'/\\(aq/gr }

sub bold { return '\fB' . code($_[0]) . '\fP' }

# \p, `code`, functions, constants, links and ** in a text.
sub inline {
	my ($text) = @_;
	my $made = '';

	$text =~ s/\[([^]]*)\]\([^)]*\)/$1/g;
	while ($text =~ /\G(.*?)(?:\\p\s+(\*?\w+)|(`[^`]+`)|(\w+)\(\)
			 |\*\*(.+?)\*\*|\b((?:LWS|LLL|LWSSSCS)_[A-Z0-9_]+)\b|\z)/gsx) {
		$made .= plain($1);
		if (defined $2) {
			$made .= '\fI' . code($2) . '\fP';
		} elsif (defined $3 || defined $4) {
			my $word = $3 // "$4()";

			$word =~ s/^`|`$//g;
			my $known = $word =~ /^(\w+)\(\)$/ && $is_page->($1);
			$made .= $known ? bold($1) . '(3)' : bold($word);
		} elsif (defined $5 || defined $6) {
			$made .= defined $5 ? '\fB' . inline($5) . '\fP'
				: bold($6);
		}
		last if pos $text >= length $text;
	}
	return $made;
}

# A text as lines of fewer than 80 bytes, a sentence beginning one.
sub fill {
	my ($text) = @_;
	my @lines;

	for my $sentence (sentences($text)) {
		my $line = '';

		for my $word (split ' ', inline($sentence)) {
			if (length "$line $word" > 78) {
				push @lines, $line;
				$line = $word;
			} else {
				$line .= length $line ? " $word" : $word;
			}
		}
		push @lines, $line;
	}
	return join '', map { s/^(?=[.'])/\\&/r . "\n" } @lines;
}

sub sentences {
	return split /(?<=[.?!])(?:[ ]{2,}|\n)\s*(?=[\w`"\\-])/, $_[0];
}

# Code, with tabs that man does not have, and without what indents all of it.
sub block {
	my ($text) = @_;

	$text =~ s/^\t//mg if $text =~ /^\t/;
	1 while $text =~ s/^([^\t\n]*)\t/$1 . ' ' x (8 - length($1) % 8)/me;
	my @lines = map { s/^(?=[.'])/\\&/r } split /\n/, code($text);

	return join "\n", '.IP', '.EX', @lines, '.EE', '';
}

sub section {
	my ($title, @parts) = @_;

	@parts = grep { defined && /\S/ } @parts;
	return @parts ? ".SH $title\n" . join(".PP\n", @parts) : '';
}

sub tagged { return ".TP\n$_[0]\n" . fill($_[1]) }

# --- Markdown -----------------------------------------------------------------

# The cells of a table's row.
sub cells {
	my ($row) = @_;

	$row =~ s/^\s*\|\s*|\s*\|\s*$//g;
	return split /\s*(?<!\\)\|\s*/, $row =~ s/\\\|/\x01/gr, -1;
}

# A row is a tag, its first cell, and the others: each with its column's name
# if there are several.
sub table {
	my ($head, undef, @rows) = split /\n/, $_[0];
	my ($first, @columns) = cells($head);
	my $made = '';

	for my $row (@rows) {
		my ($tag, @cells) = map { s/\x01/|/gr } cells($row);

		$made .= ".TP\n" . inline($tag) . "\n";
		$made .= join ".br\n", map {
			fill(@columns > 1 ? "$columns[$_]: $cells[$_]"
				: $cells[$_])
		} grep { length $cells[$_] } 0 .. $#cells;
	}
	return $made;
}

# A list: of rules, if each begins with one in bold.
sub list {
	my $made = '';

	for my $text (split /^- /m, $_[0] =~ s/^- //r) {
		$made .= $text =~ s/^\*\*(\w+)\*\*\s+//
			? tagged('\fB' . $1 . '\fP', $text)
			: ".IP \\(bu 2\n" . fill($text);
	}
	return $made;
}

# Markdown as far as the READMEs have it; no title, which is the caller's.
sub markdown {
	my ($text) = @_;
	my $made = '';

	while ($text =~ /\G\s*?(^```\w*\n(.*?)^```$|\S.*?(?=\n\s*\n|\z))/gsm) {
		my $part = $1;

		if (defined $2) {
			$made .= block($2);
		} elsif ($part =~ /^###+ (.*)/) {
			$made .= ".SS " . inline($1) . "\n";
		} elsif ($part =~ /^\|/) {
			$made .= table($part);
		} elsif ($part =~ /^- /) {
			$made .= list($part);
		} elsif ($part !~ /^\[[A-Z0-9, ]+\]$/) {
			# of a picture, what it shows
			$part =~ s/^!\[([^]]*)\]\(.*\)$/$1./s;
			$made .= ".PP\n" . fill($part);
		}
	}
	return $made =~ s/\A\.PP\n|(?<=\n)(\.SS .*\n)\.PP\n/$1 \/\/ ''/ger;
}

1;
