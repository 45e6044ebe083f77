#!/usr/bin/perl
#
# blocks.pl - the code blocks of the documents, and who runs each
#
# Each block has an entry in blocks-run, and each entry a block:
#
#   WHO  DOCUMENT  FIRST LINE
#
# with two blanks or more in between.  WHO is one stage of scripts/test or
# several, with commas, or `here` and how: see check.  DOCUMENT may be a pattern
# of the shell.  FIRST LINE is the beginning of the block's first line, behind
# its language where it has one: ```c int.  A * at the end: all such blocks.
#
# usage: blocks.pl DIR         write them to DIR/1, DIR/2..., and the plan, in
#                              which each has a line: its number, WHO, document
#                              and line, with tabs in between
#        blocks.pl --self-test look at made-up ones that are wrong
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;

my @wrong;

sub wrong
{
	push @wrong, join '', @_;
}

# { at, language, first, text } of each block of a document
sub blocks_of
{
	my ($file, $text) = @_;
	my (@found, $block);
	my $line = 0;

	for (split /^/, $text) {
		$line++;
		if (/^\s*```(.*)$/ && !$block) {
			$block = { file => $file, line => $line,
				   language => $1 =~ s/\s+$//r, text => '' };
		} elsif (/^\s*```\s*$/) {
			$block->{first} = $block->{text} =~ s/\n.*//sr =~ s/^\s+//r;
			push @found, $block;
			undef $block;
		} elsif ($block) {
			$block->{text} .= $_;
		}
	}
	wrong("$file:$block->{line}: a block without an end") if $block;

	return @found;
}

# a pattern of the shell as one of ours
sub as_pattern
{
	my ($glob) = @_;

	return join '', map { $_ eq '*' ? '[^/]*' : quotemeta }
		split /(\*)/, $glob;
}

sub entries_of
{
	my ($list, $stages) = @_;
	my @found;
	my $line = 0;

	for (split /\n/, $list) {
		$line++;
		next if /^#/ || !/\S/;
		my ($who, $document, $first) = /^(\S.*?)  +(\S+)  +(.*\S)/;
		if (!defined $first) {
			wrong("blocks-run:$line: not an entry: $_");
			next;
		}
		for ($who =~ /^here / ? () : split /,/, $who) {
			wrong("blocks-run:$line: no stage $_")
				unless $stages->{$_};
		}
		my ($language) = $first =~ s/^```(\S*) // ? $1 : '';
		my $all = $first =~ s/\*$//;
		push @found, { line => $line, who => $who, all => $all,
			document => as_pattern($document), first => $first,
			language => $language, used => {} };
	}

	return @found;
}

sub fits
{
	my ($entry, $block) = @_;

	return $block->{file} =~ /^$entry->{document}$/ &&
		$block->{language} =~ /^\Q$entry->{language}\E(?: |$)/ &&
		index($block->{first}, $entry->{first}) == 0;
}

# Gives each block its entry
sub plan
{
	my ($blocks, $entries) = @_;

	for my $block (@$blocks) {
		my @fit = grep { fits($_, $block) } @$entries;
		my $is = "$block->{file}:$block->{line}: " .
			"```$block->{language} $block->{first}";

		wrong("$is: no entry in blocks-run") unless @fit;
		wrong("$is: two entries in blocks-run") if @fit > 1;
		next unless @fit == 1;
		$block->{who} = $fit[0]{who};
		wrong("$is: the second block of one entry")
			if $fit[0]{used}{$block->{file}}++ && !$fit[0]{all};
	}
	for my $entry (@$entries) {
		wrong("blocks-run:$entry->{line}: no such block")
			unless %{$entry->{used}};
	}
}

sub look
{
	my ($list, $stages, %texts) = @_;
	my @blocks = map { blocks_of($_, $texts{$_}) } sort keys %texts;

	plan(\@blocks, [entries_of($list, $stages)]);

	return @blocks;
}

# --- made-up ones -------------------------------------------------------------

sub finds
{
	my ($what, $list, $text) = @_;

	look($list, { unit => 1 }, 'A.md' => $text);
	my $said = join "\n", splice @wrong;

	return if $what eq '' ? $said eq '' : $said =~ /\Q$what\E/;
	print "not found to be wrong: $what\nbut: $said\n";
	exit 1;
}

sub test_itself
{
	my $text = "x\n```c\nint a;\n```\n\n```\n\$ b\nc\n```\n";
	my $list = "unit  A.md  ```c int\nhere shell  *.md  \$ b\n";

	finds('', $list, $text);
	finds('A.md:6: ``` $ b: no entry', $list =~ s/here.*//r, $text);
	finds('A.md:2: ```c int a;: no entry', $list =~ s/```c //r, $text);
	finds('no entry', $list =~ s/A\.md/B.md/r, $text);
	finds('two entries', "${list}unit  A.md  \$*", $text);
	finds('the second block of one entry', $list, $text . $text);
	finds('', $list =~ s/int/*/r =~ s/b$/b*/mr, $text . $text);
	finds('blocks-run:3: no such block', "${list}unit  A.md  d", $text);
	finds('no stage mint', $list =~ s/unit/unit,mint/r, $text);
	finds('not an entry', "${list}unit A.md d", $text);
	finds('without an end', $list, "$text```\n");
	print "blocks: self-test passed\n";
}

# --- the tree -----------------------------------------------------------------

sub read_file
{
	my ($name) = @_;

	local $/;
	open my $in, '<', $name or die "$name: $!\n";

	return scalar <$in>;
}

@ARGV == 1 or die "usage: blocks.pl DIR|--self-test\n";
if ($ARGV[0] eq '--self-test') {
	test_itself();
	exit 0;
}

my $dir = shift;
my %stages = map { $_ => 1 }
	`scripts/test --list` =~ /^(\S+)/mg or die "no stages\n";
my @blocks = look(read_file('test-apps/docs/blocks-run'), \%stages,
		  map { $_ => read_file($_) } `test-apps/docs/documents.sh` =~
			/\S+/g);
print STDERR "$_\n" for @wrong;
exit 1 if @wrong || !@blocks;

my $n = 0;
open my $plan, '>', "$dir/plan" or die "$dir/plan: $!\n";
for my $block (@blocks) {
	open my $out, '>', $dir . '/' . ++$n or die "$dir/$n: $!\n";
	print $out $block->{text};
	print $plan join("\t", $n, @$block{qw(who file line)}), "\n";
}
